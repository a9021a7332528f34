/*
 * Whom the rules that are installed take servers' replies to accuse.
 *
 * The words are in the form of Postfix, Exim, Exchange, sendmail and the large
 * providers, and of RFC 3463, 5248, 5321, 6647, 7372, 7504 and 7505.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/unit.h"

#include "engine/snapshot.h"
#include "lib/conf.h"
#include "lib/reply.h"

#define ADDRESS ACCUSED_ADDRESS
#define ADDRESS_THERE ACCUSED_ADDRESS_PROVIDER
#define ACCOUNT ACCUSED_ACCOUNT
#define RECIPIENT ACCUSED_RECIPIENT
#define CONTENT ACCUSED_CONTENT
#define PROVIDER ACCUSED_PROVIDER
#define GREYLIST ACCUSED_GREYLIST
#define NOBODY ACCUSED_NONE

static const struct {
    const char *provider;
    enum accused accused;
    const char *words;
} replies[] = {
    /* limits of one transaction, or of the recipient's */
    {"other", NOBODY, "452 4.5.3 Too many recipients"},
    {"other", NOBODY, "452 4.5.3 Error: too many recipients"},
    {"other", NOBODY, "452 Too many recipients"},
    {"other", NOBODY, "452 too many recipients for one message"},
    {"other", NOBODY, "550 5.5.3 RESOLVER.ADR.RecipLimit; too many recipients"},
    {"other", NOBODY, "452 4.5.3 Message exceeded the maximum number of recipients per message"},
    {"google", NOBODY, "452-4.5.3 Your message has too many recipients. For more information"},
    {"outlook", NOBODY, "452 4.5.3 Too many recipients (AS780090)"},
    {"microsoft-365", NOBODY, "452 4.5.3 Too many recipients (AS780090)"},
    {"orange", NOBODY, "452 4.5.3 Too many recipients"},
    {"comcast", NOBODY, "452 4.5.3 Too many recipients"},
    {"comcast", ACCOUNT, "452 4.1.0 192.0.2.11 Too many recipients RL000010"},
    {"other", RECIPIENT, "450 4.7.1 Recipient rate limit exceeded"},
    {"other", RECIPIENT,
     "450 4.7.1 <b@c.test>: Recipient address rejected: Recipient limit exceeded"},
    {"other", RECIPIENT,
     "450 4.2.1 The recipient is receiving mail at a rate that prevents delivery"},
    {"other", RECIPIENT, "452 4.3.1 Too many messages for this mailbox"},
    {"outlook", RECIPIENT, "432 4.3.2 Recipient thread limit exceeded: recipient limit exceeded"},
    {"gmx", RECIPIENT, "450 4.7.1 Recipient rate limit exceeded"},
    /* recipients */
    {"other", RECIPIENT,
     "550 5.1.1 <b@c.test>: Recipient address rejected: User unknown in local recipient table"},
    {"other", RECIPIENT, "550 5.1.1 <b@c.test>... User unknown"},
    {"other", RECIPIENT,
     "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup"},
    {"other", RECIPIENT, "550-Callout verification failed: 550 no such user"},
    {"other", RECIPIENT, "550 Unrouteable address"},
    {"other", RECIPIENT, "556 5.1.10 Recipient address has null MX"},
    {"other", RECIPIENT, "550 5.2.1 The email account that you tried to reach is disabled"},
    {"other", RECIPIENT, "552 5.2.2 Mailbox size limit exceeded"},
    {"other", RECIPIENT, "452 4.2.2 Over quota"},
    {"other", RECIPIENT, "554 5.2.2 mailbox full; STOREDRV.Deliver; quota exceeded"},
    {"other", RECIPIENT, "550 5.7.1 Access denied: the recipient does not exist"},
    {"other", RECIPIENT, "554 5.7.1 <b@c.test>: Relay access denied"},
    {"microsoft-365", RECIPIENT, "550 5.7.1 Access denied: the recipient does not exist"},
    {"microsoft-365", RECIPIENT,
     "550 5.4.1 Recipient address rejected: Access denied. AS(201806281) "
     "[DB5EUR03FT005.eop-EUR03.prod.example]"},
    {"microsoft-365", RECIPIENT,
     "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient b@c.test not found by SMTP address "
     "lookup"},
    {"microsoft-365", RECIPIENT, "550 5.1.1 Access denied: the recipient is not in this country"},
    {"outlook", RECIPIENT,
     "550 5.5.0 Requested action not taken: mailbox unavailable: the user's account is inactive"},
    {"apple", RECIPIENT, "550 5.1.1 <b@c.test>: user does not exist"},
    {"kpn", RECIPIENT, "550 5.2.1 The mailbox is blocked"},
    {"mimecast", RECIPIENT, "550 5.1.1 Invalid Recipient: no such recipient"},
    /* senders */
    {"other", ACCOUNT, "550 5.1.8 <a@b.test>: Sender address rejected: Domain not found"},
    {"other", ACCOUNT, "450 4.1.8 <a@b.test>: Sender address rejected: Domain not found"},
    {"other", ACCOUNT,
     "450 4.1.7 <a@b.test>: Sender address rejected: unverified address: Address verification in "
     "progress"},
    {"other", ACCOUNT,
     "550 5.1.7 <a@b.test>: Sender address rejected: User unknown in virtual mailbox table"},
    {"other", ACCOUNT, "550 <a@b.test>: Sender address rejected: Domain not found"},
    {"other", ACCOUNT, "553 5.1.8 <a@b.test>... Domain of sender address a@b.test does not exist"},
    {"other", ACCOUNT, "451 Domain of sender address a@b.test does not resolve"},
    {"other", ACCOUNT,
     "550-Verification failed for <a@b.test> 550-Unrouteable address 550 Sender verify failed"},
    {"other", ACCOUNT, "451 Could not complete sender verify callout"},
    {"other", ACCOUNT, "550 5.7.1 Sender is blocked by the recipient's block list"},
    {"other", ACCOUNT, "550 5.7.1 blocked by the recipient's block list"},
    {"other", ACCOUNT, "550 5.7.23 The message was rejected because of the SPF policy of b.test"},
    {"other", ACCOUNT,
     "550 5.7.1 SPF: the IP 192.0.2.11 is not allowed to send mail from b.test, rejected"},
    {"other", ACCOUNT, "550 5.7.20 No passing DKIM signature found"},
    {"other", ACCOUNT,
     "550 5.7.1 Unauthenticated email from b.test is not accepted due to domain's DMARC policy"},
    {"other", ACCOUNT, "554 5.7.1 <a@b.test>: Sender address rejected: Access denied"},
    {"other", ACCOUNT, "554 5.7.1 Sender domain b.test is listed in dbl.spamhaus.org"},
    {"other", ACCOUNT, "550 5.7.1 Low reputation of the domain b.test"},
    {"other", ACCOUNT, "450 4.7.1 Sender rate limit exceeded"},
    {"other", ACCOUNT, "451 4.7.1 Your account has exceeded its rate limit"},
    {"microsoft-365", ACCOUNT, "550 5.1.8 Access denied, bad outbound sender"},
    {"microsoft-365", ACCOUNT,
     "550 5.7.509 Access denied, sending domain b.test does not pass DMARC verification"},
    {"microsoft-365", ACCOUNT, "550 5.7.502 Access denied, banned sender"},
    {"microsoft-365", ACCOUNT,
     "550 5.7.513 Service unavailable, Client host [192.0.2.11] blocked by c.test using Customer "
     "Block list (AS16012612)"},
    {"mimecast", ACCOUNT,
     "550 Rejected by header based manually blocked senders - block for manual block"},
    {"google", ACCOUNT,
     "550-5.7.26 This mail has been blocked because the sender is unauthenticated."},
    {"google", ACCOUNT,
     "421-4.7.28 Gmail has detected an unusual rate of mail originating from your SPF domain "
     "[b.test 35]"},
    {"yahoo", ACCOUNT, "554 5.7.9 Message not accepted: DMARC policy of the domain"},
    {"kpn", ACCOUNT, "554 5.7.1 The sender's domain has a bad reputation"},
    /* the message */
    {"other", CONTENT, "554 5.7.1 Message rejected as spam"},
    {"other", CONTENT, "550 5.7.1 This message contains a virus"},
    {"other", CONTENT, "554 5.7.1 Message rejected: a URL in the message is listed by Spamhaus"},
    {"other", CONTENT, "550 5.7.1 The server refused the message: banned attachment"},
    {"other", CONTENT, "554 5.7.1 Blocked by SURBL, see the page of it"},
    {"other", CONTENT, "550 Administrative prohibition"},
    {"other", CONTENT, "554 5.6.0 Message contains bare LF"},
    {"google", CONTENT,
     "552-5.7.0 Our system has detected that this message is suspicious due to the nature of the "
     "content and/or the links within."},
    {"google", CONTENT,
     "421-4.7.28 Gmail has detected an unusual rate of mail containing one of your URL domains."},
    {"gmx", CONTENT, "554 Transaction failed. Reject due to policy restrictions."},
    {"kpn", CONTENT, "554 5.7.1 Message blocked, it looks like spam"},
    {"netease", CONTENT, "554 DT:SPM 163 mx1"},
    /* greylisting, RFC 6647 */
    {"other", GREYLIST, "450 4.2.0 <b@c.test>: Recipient address rejected: Greylisted"},
    {"other", GREYLIST, "451 4.7.1 Greylisting in action, please come back in 00:05:00"},
    {"other", GREYLIST, "421 4.7.1 192.0.2.11 is graylisted, please try again in 300 seconds"},
    /* the server */
    {"other", PROVIDER, "451 4.3.0 <b@c.test>: Temporary lookup failure"},
    {"other", PROVIDER, "452 4.3.1 Insufficient system resources (UsedDiskSpace)"},
    {"other", PROVIDER, "451 4.3.5 Server configuration error"},
    {"other", PROVIDER,
     "451 Temporary local problem - please try later: local error in processing"},
    {"other", PROVIDER, "521 5.3.2 Host does not accept mail"},
    {"other", PROVIDER, "451 4.4.2 Timeout - closing connection"},
    {"outlook", PROVIDER, "451 4.7.0 Temporary server error. Please try again later. PRX2"},
    {"outlook", PROVIDER, "451 4.3.2 Server busy"},
    {"apple", PROVIDER, "421 4.3.2 Service unavailable"},
    {"mimecast", PROVIDER, "451 Internal resource is temporarily unavailable"},
    /* nobody that can be told */
    {"other", NOBODY, "502 5.5.2 Error: command not recognized"},
    {"other", NOBODY, "550 5.7.1 Rejected by this server's policy"},
    {"other", NOBODY, "450 4.7.0 Try again later, closing connection"},
    /* the address there */
    {"other", ADDRESS_THERE, "450 4.7.1 Error: too much mail from 192.0.2.11"},
    {"other", ADDRESS_THERE, "450 4.7.1 Error: too many recipients from 192.0.2.11"},
    {"other", ADDRESS_THERE, "421 4.7.0 mx.c.test Error: too many connections from 192.0.2.11"},
    {"other", ADDRESS_THERE,
     "421 4.7.0 [192.0.2.11] Too many messages from your host, rate limit exceeded, come again "
     "later"},
    {"other", ADDRESS_THERE,
     "450 4.7.1 Client host rejected: cannot find your hostname, [192.0.2.11]"},
    {"other", ADDRESS_THERE, "550 5.7.25 The sending IP has no PTR record: it was not found"},
    {"other", ADDRESS_THERE,
     "550 5.7.1 Service refused: your IP address 192.0.2.11 has been blocked"},
    {"other", ADDRESS_THERE, "550 5.7.1 192.0.2.11 is in our own blacklist"},
    {"other", ADDRESS_THERE,
     "554 Your access to this mail system has been rejected due to the sending MTA's poor "
     "reputation"},
    {"other", ADDRESS_THERE,
     "550-5.7.1 The IP you're using to send mail is not authorized to send email directly to our "
     "servers"},
    {"microsoft-365", ADDRESS_THERE, "550 5.7.606 Access denied, banned sending IP [192.0.2.11]"},
    {"microsoft-365", ADDRESS_THERE, "550 5.7.511 Access denied, banned sender[192.0.2.11]"},
    {"microsoft-365", ADDRESS_THERE,
     "550 5.7.708 Service unavailable. Access denied, traffic not accepted from this IP"},
    {"kpn", ADDRESS_THERE, "554 5.7.1 Your IP 192.0.2.11 is blocked"},
    /* the address, wherever it sends to */
    {"other", ADDRESS,
     "554 5.7.1 Service unavailable; Client host [192.0.2.11] blocked using zen.spamhaus.org; "
     "https://www.spamhaus.org/query/ip/192.0.2.11"},
    {"other", ADDRESS,
     "550 5.7.1 rejected because 192.0.2.11 is in a black list at bl.spamcop.net"},
    {"other", ADDRESS, "550 192.0.2.11 is listed at b.barracudacentral.org"},
};

static void
test_meant(void **state)
{
    struct conf *conf = unit_example();

    (void)state;
    for (size_t i = 0; i < COUNT(replies); i++) {
        const struct provider *provider =
            snapshot_find_provider(conf->snapshot, replies[i].provider);
        const struct reply_rule *rule;
        struct reply reply;

        assert_non_null(provider);
        reply_read_words(replies[i].words, strlen(replies[i].words), &reply);
        rule = replies_find(&conf->replies, provider, &reply);
        if (rule == NULL || rule->accused != replies[i].accused)
            fail_msg("%s at %s accuses %s: %s, and not %s", replies[i].words, replies[i].provider,
                     rule != NULL ? accused_text(rule->accused) : "nobody",
                     rule != NULL ? rule->name : "no rule", accused_text(replies[i].accused));
    }
    conf_unref(conf);
}

/* What one place says of recipients, senders or itself accuses no address at any other. */
static void
test_meant_everywhere(void **state)
{
    struct conf *conf = unit_example();

    (void)state;
    for (size_t i = 0; i < COUNT(replies); i++)
        for (size_t j = 0; j < conf->snapshot->provider_count; j++) {
            const struct provider *provider = &conf->snapshot->providers[j];
            const struct reply_rule *rule;
            struct reply reply;

            if (replies[i].accused <= ACCUSED_ADDRESS_PROVIDER ||
                strcmp(replies[i].provider, "other") != 0)
                continue;
            reply_read_words(replies[i].words, strlen(replies[i].words), &reply);
            rule = replies_find(&conf->replies, provider, &reply);
            if (rule != NULL && rule->accused <= ACCUSED_ADDRESS_PROVIDER)
                fail_msg("%s at %s: %s", replies[i].words, provider->name, rule->name);
        }
    conf_unref(conf);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_meant),
        cmocka_unit_test(test_meant_everywhere),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
