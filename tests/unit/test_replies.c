/*
 * Reply rules: what fits, what is refused, and the rules that are installed.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/unit.h"

#include "engine/snapshot.h"
#include "lib/conf.h"
#include "lib/err.h"
#include "lib/mem.h"
#include "lib/reply.h"

#include <time.h>

#define PROVIDERS "providers: { google = { domains = ( \"gmail.com\" ); }; };\n"
#define SAMPLE "samples = ( \"550 5.7.1 blocked\" ); "
#define RULE(text) \
    "replies: ( { name = \"r\"; class = \"address\"; pattern = \"block\"; " text "} );"

static const struct reply_rule *
find(const struct conf *conf, const char *provider, const char *words)
{
    struct reply reply;

    reply_read_words(words, strlen(words), &reply);
    return replies_find(&conf->replies, snapshot_find_provider(conf->snapshot, provider), &reply);
}

static void
assert_rule(const struct conf *conf, const char *provider, const char *words, const char *name)
{
    const struct reply_rule *rule = find(conf, provider, words);

    if (strcmp(rule != NULL ? rule->name : "", name) != 0)
        print_message("%s says \"%s\"\n", provider, words);
    assert_string_equal(rule != NULL ? rule->name : "", name);
}

static void
test_find(void **state)
{
    struct conf *conf = unit_conf_with(
        PROVIDERS
        "replies: (\n"
        "{ name = \"g\"; class = \"account\"; provider = \"google\"; pattern = \"domain\"; "
        "samples = ( \"421 the DOMAIN\" ); },\n"
        "{ name = \"four\"; class = \"greylist\"; code = 4; enhanced = \"?.2.*\"; "
        "samples = ( \"450 4.2.0 x\" ); },\n"
        "{ name = \"code\"; class = \"content\"; code = 554; samples = ( \"554 x\" ); },\n"
        "{ name = \"two\"; class = \"recipient\"; pattern = \"^a.*z$\"; samples = ( \"550 abz\" ); "
        "} );");

    (void)state;
    assert_rule(conf, "google", "550 your domain", "g");
    assert_rule(conf, "other", "550 your domain", "");
    assert_rule(conf, "other", "450 4.2.99 your domain", "four");
    assert_rule(conf, "other", "550 4.2.99 your domain", "");
    assert_rule(conf, "other", "450 4.3.0 your domain", "");
    assert_rule(conf, "other", "554 5.2.0 a z", "code");
    assert_rule(conf, "other", "550-a 550 z", "two");
    assert_rule(conf, "other", "550 a z y", "");
    assert_int_equal(conf->replies.rules[1].accused, ACCUSED_GREYLIST);
    conf_unref(conf);
}

static void
test_reaction(void **state)
{
    struct conf *conf =
        unit_conf_with(RULE("after = 3; within = \"2h\"; suspend = \"10m\"; slow = 20; "
                            "slow_after = 2; " SAMPLE));
    const struct reaction *reaction = &conf->replies.rules[0].reaction;

    (void)state;
    assert_int_equal(reaction->after, 3);
    assert_int_equal(reaction->within_ms, 2 * 3600 * 1000);
    assert_int_equal(reaction->suspend_ms, 600 * 1000);
    assert_int_equal(reaction->suspend_most_ms, 16 * 600 * 1000);
    assert_int_equal(reaction->slow_percent, 20);
    assert_int_equal(reaction->slow_ms, 30 * 60 * 1000);
    conf_unref(conf);
}

static const struct {
    const char *text, *said;
} mistakes[] = {
    {"replies = 5;", "replies: is a number, a list of rules is needed, ( ..., ... )"},
    {"replies: ( 5 );",
     "replies.1: a group is needed, { name = ...; class = ...; samples = ( ... ); }"},
    {RULE(""), "replies.1: samples is missing: Replies that this rule is the first to fit, \"550 "
               "5.7.1 blocked\"; at least one."},
    {RULE("samples = ();"),
     "replies.1.samples: at least one sample is needed: a reply that the rule fits"},
    {RULE("samples = ( \"550 x\" );"),
     "replies.1.samples.1: the rule does not fit its sample \"550 x\""},
    {RULE(SAMPLE "not_samples = ( \"550 5.1.1 no\", \"550 5.1.1 <blocker@c.test> is unknown\" );"),
     "replies.1.not_samples.2: the rule fits \"550 5.1.1 <blocker@c.test> is unknown\", which it "
     "must not; narrow it, or put the rule that is to fit it first"},
    {RULE(SAMPLE "not_samples = \"550\";"),
     "replies.1.not_samples: is a text, a list of texts is needed, ( ..., ... )"},
    {RULE("provider = \"gogle\"; " SAMPLE), "replies.1.provider: there is no provider \"gogle\", "
                                            "so that the rule would never fit, did you mean "
                                            "\"google\"?"},
    {RULE("suspend_most = \"1h\"; " SAMPLE),
     "replies.1.suspend_most: says nothing without suspend; name both, or take it out"},
    {RULE("slow_for = \"1h\"; " SAMPLE),
     "replies.1.slow_for: says nothing without slow; name both, or take it out"},
    {RULE("slow_after = 2; " SAMPLE),
     "replies.1.slow_after: says nothing without slow; name both, or take it out"},
    {RULE("code = 250; " SAMPLE), "replies.1.code: 250 is no reply code, write one such as 421, or "
                                  "4 or 5 for all that begin so"},
    {RULE("code = 55; " SAMPLE),
     "replies.1.code: 55 is no reply code, write one such as 421, or 4 or 5 for "
     "all that begin so"},
    {RULE("suspend = \"2h\"; suspend_most = \"1h\"; " SAMPLE),
     "replies.1.suspend_most: is shorter than suspend; it must be as long at least"},
    {RULE("suspend = \"2h\"; slow = 5; slow_after = 1; " SAMPLE),
     "replies.1: slow_after must be less than after: suspended, it cannot be slowed"},
    {"replies: ( { name = \"r\"; class = \"adress\"; " SAMPLE "} );",
     "replies.1.class: \"adress\" is no class, write \"address\", \"address_provider\", "
     "\"account\", "
     "\"recipient\", \"content\", \"provider\", \"greylist\" or \"none\""},
    {"replies: ( { name = \"R!\"; class = \"none\"; " SAMPLE "} );",
     "replies.1.name: \"R!\" is no name of a rule, write up to 48 lower-case letters, digits and "
     "\"-\", "
     "starting with a letter"},
    {"replies: ( { name = \"r\"; class = \"recipient\"; suspend = \"1h\"; " SAMPLE "} );",
     "replies.1: replies that accuse \"recipient\" have no consequence for an address or account; "
     "take "
     "suspend and slow out, or name another class"},
    {"replies: ( { name = \"r\"; class = \"none\"; pattern = \"a(b\"; " SAMPLE "} );",
     "replies.1.pattern: is no regular expression: missing closing parenthesis at character 4"},
    {"replies: ( { name = \"r\"; class = \"none\"; " SAMPLE
     "}, { name = \"s\"; class = \"none\"; code = 550; " SAMPLE "} );",
     "replies.2.samples.1: rule \"r\" stands before this one and fits its sample \"550 5.7.1 "
     "blocked\"; put "
     "the narrower rule first"},
    {"replies: ( { name = \"r\"; class = \"none\"; code = 421; samples = ( \"421 x\" ); }, { name "
     "= \"r\"; class = "
     "\"none\"; " SAMPLE "} );",
     "replies.2: there is a rule \"r\" already, every one needs a name of its own"},
};

static void
test_mistakes(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(mistakes); i++) {
        char *text = mem_printf("%s" PROVIDERS "%s", unit_site, mistakes[i].text);
        struct conf_problems problems = unit_problems(text);
        bool said = false;

        for (size_t j = 0; j < problems.count; j++) {
            const char *behind = strstr(problems.items[j].text, ": ");

            said |= behind != NULL && strcmp(behind + 2, mistakes[i].said) == 0;
            if (!said)
                print_message("%s\n", problems.items[j].text);
        }
        assert_true(said);
        conf_problems_clear(&problems);
        free(text);
    }
}

/* A pattern that could search for ever gives up, and soon. */
static void
test_bounded(void **state)
{
    struct pattern *pattern;
    char text[REPLY_TEXT_MAX + 1];
    struct timespec start, end;

    (void)state;
    assert_int_equal(pattern_compile("(a+)+(b|c)+(a+)+$", &pattern, NULL), 0);
    memset(text, 'a', REPLY_TEXT_MAX);
    text[REPLY_TEXT_MAX] = '\0';
    clock_gettime(CLOCK_MONOTONIC, &start);
    assert_false(pattern_find(pattern, text));
    clock_gettime(CLOCK_MONOTONIC, &end);
    assert_true(end.tv_sec - start.tv_sec < 5);
    pattern_free(pattern);
}

/* Words on which one pattern was given up are not tried with others; codes still tell. */
static void
test_tangled(void **state)
{
    struct conf *conf = unit_conf_with(
        "replies: (\n"
        "{ name = \"slow\"; class = \"none\"; code = 5; pattern = \"(a+)+(b|c)+(a+)+$\"; "
        "samples = ( \"550 aba\" ); },\n"
        "{ name = \"words\"; class = \"none\"; pattern = \"aaa\"; samples = ( \"550 aaa\" ); },\n"
        "{ name = \"code\"; class = \"none\"; enhanced = \"5.*\"; "
        "samples = ( \"550 5.1.1 x\" ); } );");
    char text[300];

    (void)state;
    assert_rule(conf, "other", "550 5.1.1 aaaa", "words");
    assert_null(replies_take_given_up(&conf->replies));
    snprintf(text, sizeof(text), "550 5.1.1 %0250d", 0);
    for (char *c = strchr(text, '0'); *c != '\0'; c++)
        *c = *c == '0' && c > text + 9 ? 'a' : *c;
    assert_rule(conf, "other", text, "code");
    assert_string_equal(replies_take_given_up(&conf->replies)->name, "slow");
    assert_rule(conf, "other", text, "code");
    assert_null(replies_take_given_up(&conf->replies)); /* told once */
    text[0] = '4';                                      /* the slow one is not for such */
    assert_rule(conf, "other", text, "words");
    conf_unref(conf);
}

/* What providers are known to say, and the rule that it must fall under. */
static const struct {
    const char *provider, *words, *rule;
} known[] = {
    {"other", "250 2.0.0 Ok", ""},
    /* any */
    {"other", "421 4.7.0 Messages from 192.0.2.9 temporarily deferred", "address-deferred"},
    {"other", "421 4.7.1 All messages from 192.0.2.9 will be permanently deferred",
     "address-deferred"},
    {"other", "451 4.7.650 192.0.2.9 was temporarily rate limited due to IP reputation",
     "address-deferred"},
    {"other", "550 5.7.1 Unfortunately, messages from [192.0.2.9] weren't sent",
     "address-deferred"},
    {"other", "451 4.7.500 Server busy. Please try again later from [192.0.2.9]",
     "address-deferred"},
    {"other", "452 4.2.2 Mailbox full", "recipient-full"},
    {"other", "550 5.1.1 x", "status-unknown-recipient"},
    {"other", "550-5.1.1 The email account that you tried to reach does not exist.",
     "recipient-unknown"},
    {"other", "450 4.2.0 greylisted", "greylisted"},
    {"other", "450 4.2.1 The recipient has exceeded the message rate limit", "recipient-rate"},
    {"other", "450 4.2.1 too many messages", "recipient-rate-by-status"},
    {"other", "554 5.7.1 Blocked - see https://ipcheck.proofpoint.com/?ip=192.0.2.9",
     "address-in-list"},
    {"other", "550 5.7.1 Blocked by Cloudmark CSI, 192.0.2.9", "address-in-list"},
    {"other", "554 5.7.1 Client host [192.0.2.9] blocked using zen.spamhaus.org",
     "address-in-list"},
    {"other", "554 5.7.1 Sender domain x.test is listed in dbl.spamhaus.org", "domain-in-list"},
    {"other", "550 5.7.1 Fix reverse DNS for 192.0.2.9", "address-reverse-dns"},
    /* Google */
    {"google", "421-4.7.0 [192.0.2.9] Our system has detected that this message is suspicious",
     "google-address-blocked"},
    {"google", "421-4.7.0 This message is suspicious, very low reputation of the sending domain",
     "google-domain-reputation"},
    {"google", "550-5.7.1 Our system has detected that this message is likely unsolicited mail",
     "google-address-blocked"},
    {"google", "421 4.7.28 [192.0.2.9] An unusual rate of mail from your IP address",
     "google-unusual-rate"},
    {"google", "421 4.7.28 An unusual rate of mail originating from your SPF domain",
     "google-domain-reputation"},
    {"google", "421 4.7.32 The From: header is not aligned", "google-alignment"},
    {"google", "450 4.2.1 The user receives mail at a rate", "google-recipient-rate"},
    {"google", "550 5.2.1 The user receives mail at a rate", "google-recipient-rate-for-good"},
    {"google", "452-4.2.2 The recipient's inbox is out of storage space", "recipient-full"},
    /* Yahoo */
    {"yahoo", "421 4.7.0 [TSS04] Messages from 192.0.2.9 temporarily deferred", "yahoo-ts04"},
    {"yahoo", "421 4.7.0 [IPTS04] Messages from 192.0.2.9 temporarily deferred", "yahoo-ts04"},
    {"yahoo", "421 4.7.0 [TS04] x", "yahoo-ts04"},
    {"yahoo", "421 4.7.0 [TS02] Messages from 192.0.2.9 temporarily deferred", "yahoo-deferred"},
    {"yahoo", "421 4.7.1 [TS03] x", "yahoo-deferred"},
    {"yahoo", "421 4.7.0 [TSS05] x", "yahoo-ts05"},
    {"yahoo", "421 4.7.0 [IPTS05] x", "yahoo-ts05"},
    {"yahoo", "553 5.7.1 [BL21] Connections not accepted", "yahoo-block-list"},
    {"yahoo", "553 5.7.1 [BL23] Connections not accepted", "yahoo-block-list"},
    {"yahoo", "421 Max message per connection reached", "yahoo-messages-per-connection"},
    {"yahoo", "450 This user is receiving mail too quickly", "yahoo-recipient-rate"},
    {"yahoo-japan", "421 VS98-IP0 x", "yahoo-japan-blocked"},
    {"yahoo-japan", "421 4.7.0 [IPTS04] x", "yahoo-japan-blocked"},
    {"yahoo-japan", "421 command time-out", "yahoo-japan-timeout"},
    /* GMX and WEB.DE */
    {"gmx", "421 Too many connections", "gmx-connections"},
    {"gmx", "450 Requested action not taken: policy restrictions", "gmx-policy"},
    {"gmx", "554 No SMTP service: policy restrictions", "gmx-refused"},
    {"gmx", "554 Reject due to policy violations", "gmx-content"},
    /* Outlook.com */
    {"outlook", "550 5.7.1 part of their network is on our block list (S3150)",
     "outlook-block-list"},
    {"outlook", "550 5.7.1 x (S3140)", "outlook-block-list"},
    {"outlook", "451 4.7.651 The mail server has been temporarily rate limited (S3114)",
     "outlook-reputation"},
    {"outlook", "451 4.7.650 The mail server has been temporarily rate limited (S843)",
     "outlook-reputation"},
    {"outlook", "451 4.7.500 Access denied, please try again later", "outlook-denied"},
    {"outlook", "451 4.7.0 Temporary server error. Please try again later", "outlook-trouble"},
    {"outlook", "451 4.7.500 Server busy. Please try again later from [192.0.2.9]", "outlook-busy"},
    {"outlook", "421 4.3.2 exceeded the maximum number of connections (IB007)",
     "outlook-connections"},
    {"outlook", "421 4.3.2 exceeded the maximum number of messages per connection",
     "outlook-messages-per-connection"},
    {"outlook", "550 5.7.1 x (S8001)", "outlook-domain-listed"},
    {"outlook", "550 5.7.1 x (S8002)", "outlook-domain-listed"},
    {"outlook", "450 4.7.3 Organization queue quota exceeded", "outlook-organisation-quota"},
    {"microsoft-365", "550 5.7.606 Access denied, banned sending IP [192.0.2.9]",
     "microsoft-365-banned"},
    {"microsoft-365", "550 5.7.1 Client host [192.0.2.9] blocked using Spamhaus",
     "microsoft-365-listed"},
    /* Apple */
    {"apple", "450 4.7.1 [BS02] Service unavailable", "apple-unavailable"},
    {"apple", "550 5.7.1 [HCM1] x", "apple-hcm"},
    {"apple", "550 5.7.1 Domain listed in the Spamhaus DBL", "apple-domain-listed"},
    {"apple", "421 4.7.1 Messages to this recipient exceed the limit", "apple-recipient-rate"},
    /* others */
    {"orange", "421 Trop de connexions OFR004", "orange-connections"},
    {"orange", "550 5.2.0 Service refus\xc3\xa9", "orange-refused"},
    {"orange", "550 5.2.0 bloquee par Spamhaus", "orange-listed"},
    {"orange", "550 5.2.0 OFR006", "orange-listed"},
    {"comcast", "421 4.1.0 throttled RL000001", "comcast-rate"},
    {"comcast", "452 4.1.0 Too many recipients RL000010", "comcast-account-rate"},
    {"mimecast", "451 Internal resource temporarily unavailable", "mimecast-unavailable"},
    {"netvigator", "452 Too many messages for this session", "netvigator-session"},
    {"qq", "550 Sender frequency limited", "qq-sender-rate"},
    {"qq", "550 IP frequency limited", "qq-address-rate"},
    {"qq", "550 Connection frequency limited", "qq-address-rate"},
    {"qq", "550 Domain frequency limited", "qq-sender-rate"},
    {"qq", "550 Mail content denied", "qq-content"},
    {"netease", "451 DT:SPM 163 mx1", "netease-content"},
    {"netease", "554 DT:SPM 163 mx1", "netease-content"},
    {"netease", "421 too many connections", "netease-connections"},
    {"netease", "550 RP:ORQ 163", "netease-day"},
    {"netease", "550 HL:ITC 163", "netease-day"},
};

/* As long as the longest that servers send, with what matters at its end. */
static const char long_reply[] =
    "550-5.1.1 The mail that your server has tried to hand to us at this time of the day could not "
    "be 550-5.1.1 accepted by the system that you are connected to. Please read the page that our "
    "550-5.1.1 postmasters keep for the administrators of other servers, where each of the codes "
    "is 550-5.1.1 explained, and where you find the form by which you can get in touch with us, if "
    "550-5.1.1 you think that this message is in error: https://postmaster.example.net/smtp-errors "
    "550-5.1.1 Please have the date, the time, the sender and the recipient of the message at hand "
    "550-5.1.1 when you write to us, as nobody can help you without; we answer within two days. "
    "550 5.1.1 <bob@example.net>: Recipient address rejected: User unknown in the local table";

/* Every class has rules, and what everybody has seen is understood. */
static void
test_installed(void **state)
{
    struct conf *conf = unit_example();
    bool seen[ACCUSED_COUNT] = {false};

    (void)state;
    assert_true(conf->replies.count > 40);
    assert_rule(conf, "other", long_reply, "recipient-unknown");
    for (size_t i = 0; i < conf->replies.count; i++)
        seen[conf->replies.rules[i].accused] = true;
    for (size_t i = 0; i < ACCUSED_COUNT; i++)
        assert_true(seen[i]);
    for (size_t i = 0; i < COUNT(known); i++)
        assert_rule(conf, known[i].provider, known[i].words, known[i].rule);
    conf_unref(conf);
}

/* Words that are made to be hard for the rules that are installed are not too hard. */
static void
test_installed_is_fast(void **state)
{
    static const char *const words[] = {
        "recipient ",
        "user ",
        "mailbox ",
        "address ",
        "account rejected ",
        "sender ",
        "domain ",
        "your IP address ",
        "the IP ",
        "client host ",
        "blocked ",
        "reputation ",
        "reputation domain ",
        "list ",
        "messages from ",
        "messages from 1.2 ",
        "server busy ",
        "access denied ",
        "too many recipients ",
        "too much for ",
        "quota ",
        "storage ",
        "URL ",
        "message contains ",
        "own personal ",
        "recipient's own own ",
        "customers managed ",
        "server queue ",
        "a",
        "1.1.1.",
        "spamhau ",
        "in on by in ",
        "from ",
        "envelope from ",
        "DBL ",
        "part of their network ",
    };
    struct conf *conf = unit_example();
    char text[REPLY_TEXT_MAX + 20];

    (void)state;
    for (size_t i = 0; i < COUNT(words); i++)
        for (size_t j = 0; j < 2 * conf->snapshot->provider_count; j++) {
            const struct reply_rule *rule;
            size_t length = (size_t)snprintf(text, sizeof(text), "%s", j % 2 ? "450 " : "550 ");

            while (length + strlen(words[i]) < sizeof(text))
                length += (size_t)sprintf(text + length, "%s", words[i]);
            find(conf, conf->snapshot->providers[j / 2].name, text);
            rule = replies_take_given_up(&conf->replies);
            if (rule != NULL)
                fail_msg("%s is too slow for \"%s\"", rule->name, words[i]);
        }
    conf_unref(conf);
}

/*
 * Whatever the provider is: what only a recipient, a domain or a full disk has to do
 * with never accuses an address.
 */
static void
test_who_is_never_accused(void **state)
{
    static const char *const innocent[] = {
        "550 5.1.1 <b@c.test>: User unknown",
        "550 5.2.1 The account is disabled",
        "552 5.2.2 Mailbox over quota",
        "452 4.2.2 The recipient's inbox is out of storage space",
        "450 4.2.1 The recipient receives mail at a rate that is too high",
        "450 4.2.0 Greylisted, please come back later",
        "550 5.7.26 Fails the DMARC policy of the domain",
        "550 5.7.1 The domain of the sender is listed in the Spamhaus DBL",
        "451 4.3.0 Temporary lookup failure",
        "452 4.3.1 Insufficient system storage",
        "554 5.7.1 Message rejected as spam",
    };
    struct conf *conf = unit_example();

    (void)state;
    for (size_t i = 0; i < conf->snapshot->provider_count; i++)
        for (size_t j = 0; j < COUNT(innocent); j++) {
            const char *name = conf->snapshot->providers[i].name;
            const struct reply_rule *rule = find(conf, name, innocent[j]);

            if (rule == NULL || rule->accused <= ACCUSED_ADDRESS_PROVIDER)
                fail_msg("%s at %s: %s", innocent[j], name, rule != NULL ? rule->name : "no rule");
        }
    conf_unref(conf);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_find),
        cmocka_unit_test(test_reaction),
        cmocka_unit_test(test_mistakes),
        cmocka_unit_test(test_bounded),
        cmocka_unit_test(test_tangled),
        cmocka_unit_test(test_installed),
        cmocka_unit_test(test_installed_is_fast),
        cmocka_unit_test(test_who_is_never_accused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
