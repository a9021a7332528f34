/*
 * Reading the configuration: what is taken, what is refused and in what words.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/unit.h"

#include "engine/snapshot.h"
#include "lib/conf.h"
#include "lib/mem.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

static struct conf_problems
problems_of(const char *text)
{
    struct conf_problems problems = {0};
    struct conf *conf = NULL;

    if (conf_load_text(text, &conf, &problems) == 0)
        conf_unref(conf);
    return problems;
}

static bool
says(const struct conf_problems *problems, const char *text)
{
    for (size_t i = 0; i < problems->count; i++)
        if (strcmp(problems->items[i].text, text) == 0)
            return true;
    for (size_t i = 0; i < problems->count; i++)
        print_error("said: %s\n", problems->items[i].text);
    print_error("but not: %s\n", text);
    return false;
}

/* ADDRESSES, POOLS, STREAMS and further lines around one mistake. */
#define ADDRESSES "addresses: { a1 = { ip = \"192.0.2.1\"; helo = \"a1.test\"; }; };\n"
#define POOLS "pools: { p = { addresses = ( \"a1\" ); }; };\n"
#define STREAMS "streams: ( { name = \"default\"; pool = \"p\"; match = (); } );\n"

static void
test_mistakes(void **state)
{
    static const struct {
        const char *text, *said;
    } cases[] = {
        {ADDRESSES POOLS STREAMS "streems = 1;",
         "text:4: streems: unknown key, did you mean \"streams\"?"},
        {ADDRESSES POOLS STREAMS "caps = 1;", "text:4: caps: unknown key"},
        {ADDRESSES POOLS STREAMS "listen: { lokup = \"unix:/x\"; };",
         "text:4: listen.lokup: unknown key, did you mean \"lookup\"?"},
        {ADDRESSES POOLS STREAMS "node = 5;",
         "text:4: node: is a number, a text in quotes is needed"},
        {ADDRESSES POOLS STREAMS "listen = 5;",
         "text:4: listen: is a number, a group { ... } is needed"},
        {ADDRESSES POOLS STREAMS "listen: { clients = \"5\"; };",
         "text:4: listen.clients: is a text, a whole number is needed"},
        {ADDRESSES POOLS STREAMS "listen: { clients = 0; };",
         "text:4: listen.clients: 0 is outside 1 to 100000"},
        {ADDRESSES POOLS STREAMS "listen: { mode = \"999\"; };",
         "text:4: listen.mode: \"999\" is no file mode, write octal digits such as \"0660\""},
        {ADDRESSES POOLS STREAMS "store: { type = \"redis\";\n url = \"redsi://h\"; };",
         "text:5: store.url: begins with none of redis://, rediss://, unix:"},
        {ADDRESSES POOLS STREAMS "store: { url = \"redis://u:secret@h:99999\"; };",
         "text:4: store.url: the port is no number from 1 to 65535"},
        {ADDRESSES POOLS STREAMS "store: { type = \"redis\"; sentinels = ( \"h:x\" ); };",
         "text:4: store.sentinels: \"h:x\": the port is no number from 1 to 65535"},
        {ADDRESSES POOLS STREAMS "store: { type = \"redis\"; };",
         "text:4: store: \"redis\" needs a url, or sentinels"},
        {ADDRESSES POOLS STREAMS "watchdog = \"3\";",
         "text:4: watchdog: \"3\" has no unit that is known, write ms, s, m, h or d"},
        {ADDRESSES POOLS STREAMS "listen: { lookup = \"/x\"; };",
         "text:4: listen.lookup: \"/x\" is no socket, write \"unix:/path\" or \"inet:host:port\""},
        {ADDRESSES POOLS STREAMS "milter: { header = \"X Y\"; };",
         "text:4: milter.header: \"X Y\" is no header name, write up to 64 printable characters "
         "without a colon"},
        {ADDRESSES POOLS STREAMS "milter: { internal = ( \"10.0.0.1/8\" ); };",
         "text:4: milter.internal: \"10.0.0.1/8\" is no address or network, write one such as "
         "\"192.0.2.0/24\" (no bits behind the prefix)"},
        {ADDRESSES POOLS STREAMS "bypass = ( \"@x.test\" );",
         "text:4: bypass.1: \"@x.test\" is no domain; write one such as \"internal.example.com\", "
         "its "
         "subdomains are meant, too"},
        {"addresses: { a1 = { ip = \"192.0.2.300\"; helo = \"a1.test\"; }; };\n" POOLS STREAMS,
         "text:1: addresses.a1.ip: \"192.0.2.300\" is no IP address, write one such as "
         "\"192.0.2.11\" or "
         "\"2001:db8::11\""},
        {"addresses: { a1 = { ip = \"224.0.0.1\"; helo = \"a1.test\"; }; };\n" POOLS STREAMS,
         "text:1: addresses.a1.ip: 224.0.0.1 cannot be the address of a host"},
        {"addresses: { a1 = { ip = \"192.0.2.1\"; helo = \"a1 -o x\"; }; };\n" POOLS STREAMS,
         "text:1: addresses.a1.helo: \"a1 -o x\" is no host name, write one such as "
         "\"a1.mail.example.com\""},
        {"addresses: { a1 = { ip = \"192.0.2.1\"; helo = \"a1.test\"; };\n a2 = { ip = "
         "\"192.0.2.1\"; helo = "
         "\"a2.test\"; }; };\n" POOLS STREAMS,
         "text:2: addresses.a2: 192.0.2.1 is the ip of a1 (line 1) already, every address needs "
         "its own"},
        {"addresses: { A_1 = { ip = \"192.0.2.1\"; helo = \"a1.test\"; }; };\n" STREAMS,
         "text:1: addresses.A_1: the name becomes the Postfix service pp-A_1, so it must be up to "
         "32 lower-case "
         "letters, digits and \"-\", starting with a letter"},
        {"addresses: { a1 = { ip = \"192.0.2.1\"; }; };\n" POOLS STREAMS,
         "text:1: addresses.a1: helo is missing: The name it greets with; it and the address's PTR "
         "record should "
         "agree."},
        {"addresses: { a1 = { }; a1 = { }; };\n",
         "text:1: a1 is in this group already, in line 1; every name may stand once"},
        {"x = ;\n", "text:1: syntax error at or before this line; a setting is NAME = VALUE; with "
                    "a semicolon at "
                    "its end"},
        {"\xef\xbb\xbfnode = \"a\";\n",
         "text:1: begins with a byte order mark; save it as UTF-8 without one"},
        {"node = \"a;\nuser = \"b\";\n",
         "text:1: a text begins on this line and does not end on it; a \" is missing"},
        {"# \"\n/* a\n\nnode = \"a\";\n",
         "text:2: a comment begins here and never ends; \"*/\" is missing"},
        {ADDRESSES POOLS STREAMS "listen: { clients = 4294967297; };\n",
         "text:4: 4294967297 is too large a number, the largest is 2147483647"},
        {ADDRESSES POOLS STREAMS "milter: { header = \"From\"; };\n",
         "text:4: milter.header: \"From\" belongs to the message itself, take a name such as "
         "\"X-Postpool-Stream\""},
        {ADDRESSES POOLS STREAMS "milter: { strip = ( \"A B\" ); };\n",
         "text:4: milter.strip: \"A B\" is no header name, write up to 64 printable characters "
         "without a colon"},
        {ADDRESSES POOLS STREAMS "milter: { local_domains = ( \"*.x\" ); };\n",
         "text:4: milter.local_domains: \"*.x\" is no domain, write one such as "
         "\"example.com\""},
        {ADDRESSES POOLS STREAMS "milter: { socket = \"inet:127.0.0.1:99999\"; };\n",
         "text:4: milter.socket: inet:127.0.0.1:99999: 99999 is no port, they go from 1 to 65535"},
        {ADDRESSES POOLS STREAMS "listen: { lookup = \"unix:/a\"; control = \"unix:/a\"; };\n",
         "text: listen.lookup and listen.control are both unix:/a, each needs its own"},
        {ADDRESSES POOLS STREAMS "listen: { lookup = \"unix:/a b\"; };\n",
         "text:4: listen.lookup: unix:/a b: Postfix reads the path between other words, write "
         "letters, digits and any of /._@+-"},
        {ADDRESSES POOLS STREAMS "user = \"root\";\n",
         "text:4: user: the daemons give up root's rights, name a user that has none"},
        {"addresses: { rewrite = { ip = \"192.0.2.1\"; helo = \"a1.test\"; }; };\n" POOLS STREAMS,
         "text:1: addresses.rewrite: the Postfix service pp-rewrite is our resolver, give it "
         "another name"},
        {ADDRESSES "pools: { p = { addresses = ( \"a2\" ); }; };\n" STREAMS,
         "text:2: pools.p.addresses.1: there is no address a2, did you mean \"a1\"?"},
        {ADDRESSES "pools: { p = { addresses = ( \"a1\", \"a1\" ); }; };\n" STREAMS,
         "text:2: pools.p.addresses.2: a1 is in this pool already, give it a weight instead"},
        {ADDRESSES "pools: { p = { addresses = ( { name = \"a1\"; weight = 0; } ); }; };\n" STREAMS,
         "text:2: pools.p.addresses.1.weight: 0 is no weight, write a number from 0.001 to "
         "1000000"},
        {ADDRESSES
         "pools: { p = { addresses = ( { name = \"a1\"; weight = -1.5; } ); }; };\n" STREAMS,
         "text:2: pools.p.addresses.1.weight: -1.5 is no weight, write a number from 0.001 to "
         "1000000"},
        {ADDRESSES "pools: { p = { addresses = (); }; };\n" STREAMS,
         "text:2: pools.p.addresses: is empty, a pool needs at least one address"},
        {ADDRESSES "pools: { p = { addresses = ( \"a1\" ); overflow = ( \"q\" ); }; };\n" STREAMS,
         "text:2: pools.p.overflow.1: there is no pool q"},
        {ADDRESSES "pools: { p = { addresses = ( \"a1\" ); overflow = ( \"p\" ); }; };\n" STREAMS,
         "text:2: pools.p: overflow runs in a circle: p -> p; a ladder must end"},
        {ADDRESSES "pools: { p = { addresses = ( \"a1\" ); overflow = ( \"q\" ); };\n q = { "
                   "addresses = ( \"a1\" ); "
                   "overflow = ( \"r\" ); };\n r = { addresses = ( \"a1\" ); overflow = ( \"q\" ); "
                   "}; };\n" STREAMS,
         "text:2: pools.p: overflow runs in a circle: p -> q -> r -> q; a ladder must end"},
        {ADDRESSES "pools: { p = { addresses = ( \"a1\" ); tls = \"yes\"; }; };\n" STREAMS,
         "text:2: pools.p.tls: \"yes\" is no TLS level of Postfix (none, may, encrypt, dane, "
         "dane-only, fingerprint, "
         "verify, secure)"},
        {ADDRESSES "pools: { p = { addresses = ( \"a1\" ); concurrency = 5; };\n q = { addresses = "
                   "( \"a1\" ); }; };\n" STREAMS,
         "text:3: pools.q.addresses.1: a1 is in pool p, too, with another concurrency, rate_delay, "
         "recipient_limit or "
         "tls; these belong to its one Postfix service, so both pools must say the same"},
        {ADDRESSES POOLS, "text: streams is missing: The streams, in the order they are tried."},
        {ADDRESSES POOLS
         "streams: ( { name = \"x\"; pool = \"p\"; match = ( { sender = \"a@b\"; } ); } );\n",
         "text:3: streams: there is no catch-all; end with one such as { name = \"default\"; pool "
         "= \"p\"; match = "
         "(); }"},
        {ADDRESSES POOLS
         "streams: ( { name = \"x\"; pool = \"p\"; match = (); },\n { name = \"y\"; pool = \"p\"; "
         "match = (); } );\n",
         "text:4: streams.2: is never reached: stream x before it takes every message; the "
         "catch-all must be the "
         "last"},
        {ADDRESSES POOLS "streams: ( { name = \"x\"; pool = \"p\"; } );\n",
         "text:3: streams.1: match is missing: Which messages it takes: groups of conditions; () "
         "is the catch-all."},
        {ADDRESSES POOLS "streams: ( { name = \"x\"; pool = \"o\"; match = (); } );\n",
         "text:3: streams.1.pool: there is no pool o"},
        {ADDRESSES POOLS "streams: ( { name = \"X.y\"; pool = \"p\"; match = (); } );\n",
         "text:3: streams.1: the name \"X.y\" does not fit the tag in the sender: write up to 32 "
         "lower-case letters, "
         "digits and \"-\", starting with a letter"},
        {ADDRESSES POOLS
         "streams: ( { name = \"x\"; pool = \"p\"; match = ( { sender = \"a\"; } ); },\n { name = "
         "\"x\"; pool = \"p\"; match = (); } );\n",
         "text:4: streams.2: stream x is there already, every name may stand once"},
        {ADDRESSES POOLS "streams: ( { name = \"x\"; pool = \"p\"; match = ( { } ); } );\n",
         "text:3: streams.1.match.1: an empty group would take every message; write match = () for "
         "the catch-all"},
        {ADDRESSES POOLS
         "streams: ( { name = \"x\"; pool = \"p\"; match = ( { value = \"a\"; } ); } );\n",
         "text:3: streams.1.match.1: value and regex need the header that they are about"},
        {ADDRESSES POOLS "streams: ( { name = \"x\"; pool = \"p\"; match = ( { header = \"X\"; "
                         "regex = \"(\"; } ); } );\n",
         "text:3: streams.1.match.1.regex: \"(\" is no POSIX extended regular expression: "
         "Unmatched ( or \\("},
        {ADDRESSES POOLS
         "streams: ( { name = \"x\"; pool = \"p\"; match = ( { sender = \"\"; } ); } );\n",
         "text:3: streams.1.match.1.sender: is empty, write a pattern or leave the key out"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct conf_problems problems = problems_of(cases[i].text);

        assert_true(problems.error_count > 0);
        assert_true(says(&problems, cases[i].said));
        conf_problems_clear(&problems);
    }
}

/* All names that stand twice, each in its own group; a value or another group's name is none. */
static void
test_names_that_stand_twice(void **state)
{
    struct conf_problems problems = problems_of(
        "node = \"n\";\naddresses: { a1 = { ip = \"192.0.2.1\"; helo = \"a1.test\"; };\n"
        "a2 = { ip = \"192.0.2.2\"; /* ip */ ip // x\n : \"192.0.2.3\"; helo = \"a1.test\"; }\n"
        "a1 { }; \"a2\" a1\n= { helo = \"a1.test\"; }; };\n# node = 1\n"
        "pools: { p = { addresses = ( \"a1\", { name = \"a1\"; }, { name = \"a2\"; } ); }; };\n"
        "node = \"n\";\nx = [ true, node, node ];\nnode = { node = 1; }; nod = 1;");

    (void)state;
    assert_int_equal(problems.error_count, 4);
    assert_true(says(&problems, "text:3: ip is in this group already, in line 3; every name may "
                                "stand once"));
    assert_true(says(&problems, "text:5: a1 is in this group already, in line 2; every name may "
                                "stand once"));
    assert_true(says(&problems, "text:9: node is in this group already, in line 1; every name may "
                                "stand once"));
    assert_true(says(&problems, "text:11: node is in this group already, in line 1; every name "
                                "may stand once"));
    conf_problems_clear(&problems);
}

/* Every mistake is told in one run. */
static void
test_all_mistakes_at_once(void **state)
{
    struct conf_problems problems =
        problems_of("nod = \"x\";\naddresses: { a1 = { ip = \"x\"; helo = \"a1.test\"; }; };\n"
                    "pools: { p = { addresses = ( \"a9\" ); }; };\nstreams: ( { name = \"x\"; pool "
                    "= \"q\"; match = 5; } );\n");

    (void)state;
    assert_int_equal(problems.error_count, 5);
    conf_problems_clear(&problems);
}

static void
test_warnings(void **state)
{
    struct conf_problems problems =
        problems_of("addresses: { a1 = { ip = \"192.0.2.1\"; helo = \"a1.test\"; };\n a2 = { ip = "
                    "\"192.0.2.2\"; helo = "
                    "\"a2.test\"; }; };\npools: { p = { addresses = ( \"a1\" ); };\n q = { "
                    "addresses = ( \"a1\" ); }; };\n" STREAMS);

    (void)state;
    assert_int_equal(problems.error_count, 0);
    assert_true(says(&problems, "text:2: warning: addresses.a2: no pool uses this address"));
    assert_true(says(&problems, "text:4: warning: pools.q: no stream leads to this pool"));
    conf_problems_clear(&problems);
}

static void
test_ipv6_warning(void **state)
{
    struct conf_problems problems =
        problems_of("addresses: { a1 = { ip = \"192.0.2.1\"; helo = \"a1.test\"; };\n a2 = { ip = "
                    "\"2001:db8::2\"; helo = \"a2.test\"; }; };\n"
                    "pools: { p = { addresses = ( \"a1\", \"a2\" ); }; };\n" STREAMS);

    (void)state;
    assert_int_equal(problems.error_count, 0);
    assert_true(says(&problems, "text:3: warning: pools.p: a2 is IPv6: what it gets for a domain "
                                "without IPv6 is deferred until it expires, and the pool's other "
                                "addresses are not tried"));
    conf_problems_clear(&problems);
}

static void
test_values(void **state)
{
    struct conf *conf = unit_conf(
        ADDRESSES
        "pools: { p = { addresses = ( { name = \"a1\"; weight = 2.5; } ); concurrency = 3; "
        "rate_delay = "
        "\"2s\"; recipient_limit = 4; tls = \"may\"; }; };\n" STREAMS
        "node = \"mta1\"; watchdog = \"2s\"; bypass = ( \"B.test\", \"a.test\" );\n"
        "listen: { mode = \"0600\"; clients = 7; }; milter: { strip = ( \"X-A\", \"X-B\" ); };\n");
    const struct pool *pool = snapshot_find_pool(conf->snapshot, "p");

    (void)state;
    assert_string_equal(conf->node, "mta1");
    assert_int_equal(conf->watchdog_ms, 2000);
    assert_int_equal(conf->listen_mode, 0600);
    assert_int_equal(conf->clients, 7);
    assert_int_equal(conf->strip.count, 2);
    assert_int_equal(conf->internal_count, 2); /* the default: loopback */
    assert_string_equal(conf->stream_header, "X-Postpool-Stream");
    assert_true(pool->members[0].weight == 2.5);
    assert_int_equal(pool->concurrency, 3);
    assert_int_equal(pool->rate_delay_s, 2);
    assert_int_equal(pool->recipient_limit, 4);
    assert_string_equal(pool->tls, "may");
    assert_int_equal(conf->snapshot->addresses[0].maxproc, 20);
    assert_ptr_equal(conf->snapshot->addresses[0].of, pool);
    assert_true(snapshot_is_bypass(conf->snapshot, "b.test"));
    conf_unref(conf);
}

/* A rung's own ladder follows it, and each pool stands on a ladder once. */
static void
test_ladder(void **state)
{
    struct conf *conf =
        unit_conf("addresses: { a1 = { ip = \"192.0.2.1\"; helo = \"a1.test\"; }; };\n"
                  "pools: { p = { addresses = ( \"a1\" ); overflow = ( \"q\", \"s\" ); }; q = { "
                  "addresses = ( \"a1\" ); overflow = ( "
                  "\"r\" ); }; r = { addresses = ( \"a1\" ); overflow = ( \"s\" ); }; s = { "
                  "addresses = ( \"a1\" ); }; };\n" STREAMS);
    const struct pool *pool = snapshot_find_pool(conf->snapshot, "p");

    (void)state;
    assert_int_equal(pool->overflow_count, 3);
    assert_string_equal(pool->overflow[0]->name, "q");
    assert_string_equal(pool->overflow[1]->name, "r");
    assert_string_equal(pool->overflow[2]->name, "s");
    conf_unref(conf);
}

static void
collect(void *arg, const char *line)
{
    buf_printf(arg, "%s\n", line);
}

static void
test_diff(void **state)
{
    struct conf *before = unit_conf(ADDRESSES POOLS STREAMS "node = \"x\";");
    struct conf *after =
        unit_conf("addresses: { a1 = { ip = \"192.0.2.9\"; helo = \"a1.test\"; }; a2 = { ip = "
                  "\"192.0.2.2\"; helo = \"a2.test\"; }; };\n"
                  "pools: { p = { addresses = ( \"a1\", \"a2\" ); }; };\n" STREAMS);
    struct buf text = {0};

    (void)state;
    assert_int_equal(conf_diff(before, after, collect, &text), 5);
    assert_string_equal(buf_text(&text),
                        "~ addresses.a1.ip = \"192.0.2.9\" (was \"192.0.2.1\")\n"
                        "+ addresses.a2.helo = \"a2.test\"\n"
                        "+ addresses.a2.ip = \"192.0.2.2\"\n"
                        "- node = \"x\"\n"
                        "~ pools.p.addresses = ( \"a1\", \"a2\" ) (was ( \"a1\" ))\n");
    assert_int_equal(conf_diff(before, before, collect, &text), 0);
    buf_clear(&text);
    conf_unref(before);
    conf_unref(after);
}

static void
write_file(const char *folder, const char *name, const char *text)
{
    char *path = mem_printf("%s/%s", folder, name);
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    free(path);
}

/* @include is relative to the file, and mistakes name the file they are in. */
static void
test_files(void **state)
{
    char folder[] = "/tmp/postpool-conf.XXXXXX";
    struct conf_problems problems = {0};
    struct conf *conf = NULL;
    char *file, *said;

    (void)state;
    assert_non_null(mkdtemp(folder));
    file = mem_printf("%s/main.conf", folder);
    write_file(folder, "main.conf", "@include \"site.conf\"\n");
    write_file(folder, "site.conf", ADDRESSES POOLS STREAMS);
    assert_int_equal(conf_load(file, &conf, &problems), 0);
    conf_unref(conf);
    write_file(folder, "site.conf", ADDRESSES POOLS STREAMS "nodee = \"x\";\n");
    assert_int_equal(conf_load(file, &conf, &problems), -EINVAL);
    assert_true(says(&problems, "site.conf:4: nodee: unknown key, did you mean \"node\"?"));
    /* libconfig would end the program over a folder, and not name a file that is missing */
    write_file(folder, "main.conf", "# one\n@include \".\"\n@include \"no.conf\"\n");
    assert_int_equal(conf_load(file, &conf, &problems), -EINVAL);
    assert_true(says(&problems, ".: Is a directory"));
    said = mem_printf("%s:3: @include \"no.conf\": %s/no.conf: No such file or directory", file,
                      folder);
    assert_true(says(&problems, said));
    free(said);
    write_file(folder, "main.conf", "@include \"main.conf\"\n");
    assert_int_equal(conf_load(file, &conf, &problems), -EINVAL);
    assert_true(says(&problems, "main.conf:1: @include \"main.conf\" is 10 files deep; does it "
                                "include itself?"));
    write_file(folder, "main.conf", "/* @include \".\" */ # \"\n@include \"site.conf\" // \"\n");
    write_file(folder, "site.conf", ADDRESSES POOLS STREAMS);
    assert_int_equal(conf_load(file, &conf, &problems), 0);
    conf_unref(conf);
    free(file);
    file = mem_printf("%s/none.conf", folder);
    assert_int_equal(conf_load(file, &conf, &problems), -EINVAL);
    said = mem_printf("%s: No such file or directory", file);
    assert_true(says(&problems, said));
    free(said);
    free(file);
    conf_problems_clear(&problems);
    said = mem_printf("rm -r %s", folder);
    assert_int_equal(system(said), 0);
    free(said);
}

static void
test_secret(void **state)
{
    char path[] = "/tmp/postpool-secret.XXXXXX";
    int fd = mkstemp(path);
    char *text = mem_printf(ADDRESSES POOLS STREAMS "tag_secret_file = \"%s\";", path);
    char *said =
        mem_printf("text: tag_secret_file: %s holds fewer than 16 bytes; make one with: head -c 32 "
                   "/dev/urandom > FILE",
                   path);
    struct conf_problems problems = {0};
    struct conf *one = NULL, *two = NULL;

    (void)state;
    assert_int_equal(conf_load_text(text, &one, &problems), -EINVAL);
    assert_true(says(&problems, said));
    assert_int_equal(write(fd, "0123456789abcdef", 16), 16);
    assert_int_equal(conf_load_text(text, &one, &problems), 0);
    assert_true(one->secret_known);
    assert_int_equal(write(fd, "x", 1), 1);
    assert_int_equal(conf_load_text(text, &two, &problems), 0);
    assert_memory_not_equal(one->secret, two->secret, sizeof(one->secret));
    conf_unref(one);
    conf_unref(two);
    conf_problems_clear(&problems);
    unlink(path);
    close(fd);
    free(text);
    free(said);
}

static void
name_in_manual(void *arg, const char *path, const char *initial, const char *help)
{
    const char *dot = strrchr(path, '.');
    char *item = mem_printf(".It Ic %s", dot != NULL ? dot + 1 : path);

    (void)initial;
    assert_true(strlen(help) > 10);
    if (strstr(arg, item) == NULL)
        fail_msg("postpool.conf(5) does not tell of %s (%s)", path, item);
    free(item);
}

/* The manual names every key. */
static void
test_manual(void **state)
{
    const char *source = getenv("srcdir");
    char *path = mem_printf("%s/docs/man/postpool.conf.5", source != NULL ? source : ".");
    FILE *file = fopen(path, "r");
    struct buf text = {0};
    char line[4096];

    (void)state;
    if (file == NULL)
        fail_msg("%s cannot be read", path);
    while (fgets(line, sizeof(line), file) != NULL)
        buf_puts(&text, line);
    fclose(file);
    conf_each_key(name_in_manual, text.data);
    buf_clear(&text);
    free(path);
}

/* The example that is installed is a good configuration. */
static void
test_example(void **state)
{
    const char *source = getenv("srcdir");
    char *path = mem_printf("%s/docs/postpool.conf.example", source != NULL ? source : ".");
    struct conf_problems problems = {0};
    struct conf *conf = NULL;

    (void)state;
    if (conf_load(path, &conf, &problems) < 0)
        fail_msg("%s", problems.items[0].text);
    conf_problems_clear(&problems);
    conf_unref(conf);
    free(path);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mistakes),
        cmocka_unit_test(test_names_that_stand_twice),
        cmocka_unit_test(test_all_mistakes_at_once),
        cmocka_unit_test(test_warnings),
        cmocka_unit_test(test_ipv6_warning),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_ladder),
        cmocka_unit_test(test_diff),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_secret),
        cmocka_unit_test(test_manual),
        cmocka_unit_test(test_example),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
