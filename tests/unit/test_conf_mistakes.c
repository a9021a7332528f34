/*
 * Mistakes in the configuration, and in what words they are refused.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/unit.h"

#include "lib/conf.h"
#include "lib/mem.h"

/* The parts of the smallest configuration, a line each. */
#define ADDRESSES "addresses: { a1 = { ip = \"192.0.2.1\"; helo = \"a1.test\"; }; };\n"
#define POOLS "pools: { p = { addresses = ( \"a1\" ); }; };\n"
#define STREAMS "streams: ( { name = \"default\"; pool = \"p\"; match = (); } );\n"

struct mistake {
    const char *text, *said;
};

/* One line behind a configuration that is fine without it; what is said of it, without the line. */
static const struct mistake of_keys[] = {
    {"streems = 1;", "streems: unknown key, did you mean \"streams\"?"},
    {"caps = 1;", "caps: unknown key"},
    {"store: { type = \"redis\"; url = \"redsi://h\"; };",
     "store.url: begins with none of redis://, rediss://, unix:"},
    {"store: { url = \"redis://u:secret@h:99999\"; };",
     "store.url: the port is no number from 1 to 65535"},
    {"store: { type = \"redis\"; sentinels = ( \"h:x\" ); };",
     "store.sentinels: \"h:x\": the port is no number from 1 to 65535"},
    {"store: { type = \"redis\"; };", "store: \"redis\" needs a url, or sentinels"},
    {"store: { url = \"redis://h\"; };",
     "store.url: is for type = \"redis\" alone; without that this host counts by itself"},
    {"store: { sentinels = ( \"h\" ); };",
     "store.sentinels: is for type = \"redis\" alone; without that this host counts by itself"},
    {"store: { prefix = \"\"; };",
     "store.prefix: \"\" would part the keys in a Cluster, write a word such as \"postpool\""},
    {"store: { prefix = \"}x\"; };",
     "store.prefix: \"}x\" would part the keys in a Cluster, write a word such as \"postpool\""},
    {"listen: { lokup = \"unix:/x\"; };", "listen.lokup: unknown key, did you mean \"lookup\"?"},
    {"feedback: { log = \"mail.log\"; };",
     "feedback.log: \"mail.log\" is no log, write an absolute path such as \"/var/log/mail.log\", "
     "\"journal\", \"pipe\", or \"none\""},
    {"feedback: { log = \"journal:here\"; };",
     "feedback.log: \"journal:here\" is no log, write an absolute path such as "
     "\"/var/log/mail.log\", \"journal\", \"pipe\", or \"none\""},
#ifndef HAVE_LIBSYSTEMD
    {"feedback: { log = \"journal\"; };",
     "feedback.log: this postpool was built without libsystemd and cannot read the journal; write "
     "the path of a log file, or \"pipe\" for what postpool feedback hands in"},
#endif
    {"feedback: { log = \"/dev\"; };",
     "feedback.log: /dev is a folder, a file is needed that can be read again from a place on; for "
     "a pipe write \"pipe\", and have postpool feedback read it"},
    {"feedback: { log = \"/dev/null\"; };",
     "feedback.log: /dev/null is no file, a file is needed that can be read again from a place on; "
     "for a pipe write \"pipe\", and have postpool feedback read it"},
    {"node = 5;", "node: is a number, a text in quotes is needed"},
    {"listen = 5;", "listen: is a number, a group { ... } is needed"},
    {"listen: { clients = \"5\"; };", "listen.clients: is a text, a whole number is needed"},
    {"listen: { clients = 0; };", "listen.clients: 0 is outside 1 to 100000"},
    {"listen: { mode = \"999\"; };",
     "listen.mode: \"999\" is no file mode, write octal digits such as \"0660\""},
    {"figures: { path = \"figures.db\"; };",
     "figures.path: \"figures.db\" is no file, write an absolute path such as "
     "\"/var/lib/postpool/figures.db\", or \"none\""},
    {"figures: { path = \"/var/lib/postpool/state.db\"; };",
     "figures.path: is the store's file, figures need one of their own"},
    {"complaints: { addresses = ( \"fbl@a.test\", \"fbl\" ); };",
     "complaints.addresses: \"fbl\" is no address, write one such as \"fbl@example.com\" or "
     "\"*@bounces.example.com\""},
    {"complaints: { addresses = ( \"<fbl@a.test>\" ); };",
     "complaints.addresses: \"<fbl@a.test>\" is no address, write one such as "
     "\"fbl@example.com\" or \"*@bounces.example.com\""},
    {"complaints: { mark = \"X-Postpool-Stream\"; };",
     "complaints.mark: \"X-Postpool-Stream\" has a meaning already, take a name of its own such as "
     "\"X-Postpool-Mark\""},
    {"milter: { strip = ( \"X-A\", \"X-B\" ); }; complaints: { mark = \"x-b\"; };",
     "complaints.mark: \"x-b\" has a meaning already, take a name of its own such as "
     "\"X-Postpool-Mark\""},
    {"complaints: { mark = \"feedback-id\"; };",
     "complaints.mark: \"feedback-id\" has a meaning already, take a name of its own such as "
     "\"X-Postpool-Mark\""},
    {"complaints: { mark = \"Subject\"; };",
     "complaints.mark: \"Subject\" belongs to the message itself, take a name such as "
     "\"X-Postpool-Mark\""},
    {"watchdog = \"3\";", "watchdog: \"3\" has no unit that is known, write ms, s, m, h or d"},
    {"listen: { lookup = \"/x\"; };",
     "listen.lookup: \"/x\" is no socket, write \"unix:/path\" or \"inet:host:port\""},
    {"milter: { header = \"X Y\"; };", "milter.header: \"X Y\" is no header name, write up to 64 "
                                       "printable characters without a colon"},
    {"milter: { internal = ( \"10.0.0.1/8\" ); };",
     "milter.internal: \"10.0.0.1/8\" is no address or network, write one such as \"192.0.2.0/24\" "
     "(no bits behind the prefix)"},
    {"bypass = ( \"@x.test\" );", "bypass.1: \"@x.test\" is no domain; write one such as "
                                  "\"internal.example.com\", its subdomains are meant, too"},
    {"listen: { clients = 4294967297; };",
     "4294967297 is too large a number, the largest is 2147483647"},
    {"milter: { header = \"From\"; };", "milter.header: \"From\" belongs to the message itself, "
                                        "take a name such as \"X-Postpool-Stream\""},
    {"milter: { strip = ( \"A B\" ); };", "milter.strip: \"A B\" is no header name, write up to 64 "
                                          "printable characters without a colon"},
    {"milter: { local_domains = ( \"*.x\" ); };",
     "milter.local_domains: \"*.x\" is no domain, write one such as \"example.com\""},
    {"milter: { socket = \"inet:127.0.0.1:99999\"; };",
     "milter.socket: inet:127.0.0.1:99999: 99999 is no port, they go from 1 to 65535"},
    {"listen: { lookup = \"unix:/a b\"; };",
     "listen.lookup: unix:/a b: Postfix reads the path between other words, write letters, digits "
     "and any of /._@+-"},
    {"user = \"root\";", "user: the daemons give up root's rights, name a user that has none"},
};

#define NO_CODE                                                                              \
    " is no answer that means listed, write one such as \"127.0.0.2\" or \"127.0.0.0/24\"; " \
    "127.0.0.1 and 127.255.255.0/24 mean other things"

static const struct mistake of_lists[] = {
    {"lists = 5;", "lists: is a number, a list of groups is needed, ( ..., ... )"},
    {"lists: ( \"zen.test\" );", "lists.1: a group is needed, { zone = ...; }"},
    {"lists: ( { name = \"zen\"; } );",
     "lists.1: zone is missing: The list's domain, \"zen.example\"."},
    {"lists: ( { zone = \"zen test\"; } );",
     "lists.1.zone: is no domain of up to 180 characters, write one such as \"zen.example\""},
    {"lists: ( { zone = \"\"; } );",
     "lists.1.zone: is no domain of up to 180 characters, write one such as \"zen.example\""},
    {"lists: ( { zone = \"zen.test\"; name = \"Zen\"; } );",
     "lists.1.name: \"Zen\" is no name of a list, write up to 32 lower-case letters, digits and "
     "\"-\", starting with a letter"},
    {"lists: ( { zone = \"zen.test\"; codes = (); } );",
     "lists.1.codes: at least one is needed; without the key it is \"127.0.0.0/8\""},
    {"lists: ( { zone = \"zen.test\"; codes = ( \"10.0.0.2\" ); } );",
     "lists.1.codes: \"10.0.0.2\"" NO_CODE},
    {"lists: ( { zone = \"zen.test\"; codes = ( \"127.255.255.254\" ); } );",
     "lists.1.codes: \"127.255.255.254\"" NO_CODE},
    {"lists: ( { zone = \"zen.test\"; codes = ( \"127.0.0.1\" ); } );",
     "lists.1.codes: \"127.0.0.1\"" NO_CODE},
    {"lists: ( { zone = \"zen.test\"; codes = ( \"126.0.0.0/7\" ); } );",
     "lists.1.codes: \"126.0.0.0/7\"" NO_CODE},
    {"lists: ( { zone = \"zen.test\"; action = \"block\"; } );",
     "lists.1.action: \"block\" is none of \"report\", \"suspend\""},
    {"lists: ( { zone = \"zen.test\"; every = \"5s\"; } );",
     "lists.1.every: \"5s\" is outside 10s to 1d"},
    {"lists: ( { zone = \"zen.test\"; }, { zone = \"ZEN.test.\"; name = \"zen\"; } );",
     "lists.2: list 1 has the same name or zone; every list may stand once"},
    {"lists: ( { zone = \"a.test\"; name = \"zen\"; }, { zone = \"b.test\"; name = \"zen\"; } );",
     "lists.2: list 1 has the same name or zone; every list may stand once"},
};

static const struct mistake of_providers[] = {
    {"providers = 5;", "providers: a group of providers is needed, { google = { domains = ( ... ); "
                       "mx = ( ... ); }; }"},
    {"providers: { google = 5; };",
     "providers.google: a group is needed, { domains = ( ... ); mx = ( ... ); }"},
    {"providers: { Google = { mx = ( \".google.com\" ); }; };",
     "providers.Google: \"Google\" is no name of a provider, write up to 32 lower-case letters, "
     "digits and \"-\", starting with a letter"},
    {"providers: { google = { }; };",
     "providers.google: has neither domains nor mx, so nothing could ever be its"},
    {"providers: { google = { domains = (); mx = (); }; };",
     "providers.google: has neither domains nor mx, so nothing could ever be its"},
    {"providers: { google = { domain = ( \"gmail.com\" ); mx = ( \".google.com\" ); }; };",
     "providers.google.domain: unknown key, did you mean \"domains\"?"},
    {"providers: { google = { domains = \"gmail.com\"; }; };",
     "providers.google.domains: is a text, a list of domains is needed, ( ..., ... )"},
    {"providers: { google = { mx = \".google.com\"; }; };",
     "providers.google.mx: is a text, a list of host suffixes is needed, ( ..., ... )"},
    {"providers: { google = { domains = ( 5 ); }; };",
     "providers.google.domains.1: is a number, a text in quotes is needed"},
    {"providers: { google = { domains = ( \"*.gmail.com\" ); }; };",
     "providers.google.domains.1: \"*.gmail.com\" is no domain, write one such as \"example.com\""},
    {"providers: { google = { domains = ( "
     "\"a123456789a123456789a123456789a123456789a123456789a123456789a123.com\" ); }; };",
     "providers.google.domains.1: "
     "\"a123456789a123456789a123456789a123456789a123456789a123456789a123.com\" is no domain, write "
     "one such as \"example.com\""},
    {"providers: { google = { domains = ( \"gmail.com.\" ); }; };",
     "providers.google.domains.1: \"gmail.com.\" is no domain, write one such as \"example.com\""},
    {"providers: { google = { mx = ( \".x.test\", \"google.com\" ); }; };",
     "providers.google.mx.2: \"google.com\" is no suffix, it must start with a dot; write "
     "\".google.com\", which is also the host \"google.com\" itself"},
    {"providers: { kpn = { mx = ( \".kpnmail.nl.\" ); }; };",
     "providers.kpn.mx.1: \".kpnmail.nl.\" would never match, host names are compared without the "
     "dot at their end; write \".kpnmail.nl\""},
    {"providers: { kpn = { mx = ( \"kpnmail.nl.\" ); }; };",
     "providers.kpn.mx.1: \"kpnmail.nl.\" would never match, host names are compared without the "
     "dot at their end; write \".kpnmail.nl\""},
    {"providers: { kpn = { mx = ( \".\" ); }; };",
     "providers.kpn.mx.1: \".\" is no suffix of host names, write one such as \".google.com\""},
    {"providers: { kpn = { mx = ( \"\" ); }; };",
     "providers.kpn.mx.1: \"\" is no suffix of host names, write one such as \".google.com\""},
    {"providers: { kpn = { mx = ( \".*.kpn.nl\" ); }; };",
     "providers.kpn.mx.1: \".*.kpn.nl\" is no suffix of host names, write one such as "
     "\".google.com\""},
    {"providers: { a = { domains = ( \"x.test\" ); }; b = { domains = ( \"X.test\" ); }; };",
     "providers.b.domains.1: \"x.test\" stands in provider a already, every one may stand once"},
    {"providers: { a = { mx = ( \".x.test\" ); }; b = { mx = ( \".y.test\", \".x.test\" ); }; };",
     "providers.b.mx.2: \".x.test\" stands in provider a already, every one may stand once"},
    {"providers: { a = { domains = ( \"x.test\", \"x.test\" ); }; };",
     "providers.a.domains.2: \"x.test\" stands in provider a already, every one may stand once"},
    {"providers: { other = { domains = ( \"x.test\" ); }; };",
     "providers.other.domains: other takes what no provider does and names nothing itself; take "
     "this out"},
    {"providers: { other = { mx = (); }; };", "providers.other.mx: other takes what no provider "
                                              "does and names nothing itself; take this out"},
    {"dns: { servers = ( \"ns.example.com\" ); };",
     "dns.servers: \"ns.example.com\" is no DNS server, write its IP address, such as "
     "\"192.0.2.53\", \"127.0.0.1:5353\" or \"[2001:db8::53]:5353\""},
    {"dns: { timeout = \"5ms\"; };", "dns.timeout: \"5ms\" is outside 100ms to 1m"},
    {"providers: { x = { mx = ( \".x.test\" ); caps = { windows = ( { length = \"9s\"; recipients "
     "= 5; } ); }; }; };",
     "providers.x.caps.windows.1.length: \"9s\" is outside 10s to 31d"},
};

/* Whole configurations, and all that is said. */
static const struct mistake of_syntax[] = {
    {"addresses: { a1 = { }; a1 = { }; };\n",
     "text:1: a1 is in this group already, in line 1; every name may stand once"},
    {"x = ;\n", "text:1: syntax error at or before this line; a setting is NAME = VALUE; with a "
                "semicolon at its end"},
    {"\xef\xbb\xbfnode = \"a\";\n",
     "text:1: begins with a byte order mark; save it as UTF-8 without one"},
    {"node = \"a;\nuser = \"b\";\n",
     "text:1: a text begins on this line and does not end on it; a \" is missing"},
    {"# \"\n/* a\n\nnode = \"a\";\n",
     "text:2: a comment begins here and never ends; \"*/\" is missing"},
    {ADDRESSES POOLS STREAMS "listen: { lookup = \"unix:/a\"; control = \"unix:/a\"; };\n",
     "text: listen.lookup and listen.control are both unix:/a, each needs its own"},
};

static const struct mistake of_addresses[] = {
    {"addresses: { a1 = { ip = \"192.0.2.300\"; helo = \"a1.test\"; }; };\n" POOLS STREAMS,
     "text:1: addresses.a1.ip: \"192.0.2.300\" is no IP address, write one such as \"192.0.2.11\" "
     "or \"2001:db8::11\""},
    {"addresses: { a1 = { ip = \"224.0.0.1\"; helo = \"a1.test\"; }; };\n" POOLS STREAMS,
     "text:1: addresses.a1.ip: 224.0.0.1 cannot be the address of a host"},
    {"addresses: { a1 = { ip = \"192.0.2.1\"; helo = \"a1 -o x\"; }; };\n" POOLS STREAMS,
     "text:1: addresses.a1.helo: \"a1 -o x\" is no host name, write one such as "
     "\"a1.mail.example.com\""},
    {"addresses: { a1 = { ip = \"192.0.2.1\"; helo = \"a1.test\"; };\n a2 = { ip = \"192.0.2.1\"; "
     "helo = \"a2.test\"; }; };\n" POOLS STREAMS,
     "text:2: addresses.a2: 192.0.2.1 is the ip of a1 (line 1) already, every address needs its "
     "own"},
    {"addresses: { A_1 = { ip = \"192.0.2.1\"; helo = \"a1.test\"; }; };\n" STREAMS,
     "text:1: addresses.A_1: the name becomes the Postfix service pp-A_1, so it must be up to 32 "
     "lower-case letters, digits and \"-\", starting with a letter"},
    {"addresses: { a1 = { ip = \"192.0.2.1\"; }; };\n" POOLS STREAMS,
     "text:1: addresses.a1: helo is missing: The name it greets with; it and the address's PTR "
     "record should agree."},
    {"addresses: { rewrite = { ip = \"192.0.2.1\"; helo = \"a1.test\"; }; };\n" POOLS STREAMS,
     "text:1: addresses.rewrite: the Postfix service pp-rewrite is our resolver, give it another "
     "name"},
};

static const struct mistake of_pools[] = {
    {ADDRESSES "pools: { p = { addresses = ( \"a2\" ); }; };\n" STREAMS,
     "text:2: pools.p.addresses.1: there is no address a2, did you mean \"a1\"?"},
    {ADDRESSES "pools: { p = { addresses = ( \"a1\", \"a1\" ); }; };\n" STREAMS,
     "text:2: pools.p.addresses.2: a1 is in this pool already, give it a weight instead"},
    {ADDRESSES "pools: { p = { addresses = ( { name = \"a1\"; weight = 0; } ); }; };\n" STREAMS,
     "text:2: pools.p.addresses.1.weight: 0 is no weight, write a number from 0.001 to 1000000"},
    {ADDRESSES "pools: { p = { addresses = ( { name = \"a1\"; weight = -1.5; } ); }; };\n" STREAMS,
     "text:2: pools.p.addresses.1.weight: -1.5 is no weight, write a number from 0.001 to 1000000"},
    {ADDRESSES "pools: { p = { addresses = (); }; };\n" STREAMS,
     "text:2: pools.p.addresses: is empty, a pool needs at least one address"},
    {ADDRESSES "pools: { p = { addresses = ( \"a1\" ); overflow = ( \"q\" ); }; };\n" STREAMS,
     "text:2: pools.p.overflow.1: there is no pool q; there are: p"},
    {ADDRESSES POOLS STREAMS "replies: ( { name = \"r\"; provider = \"google\"; class = \"none\"; "
                             "pattern = \"x\"; samples = ( \"550 x\" ); } );\n",
     "text:4: replies.1.provider: there is no provider \"google\", so that the rule would never "
     "fit; "
     "there is none but other, take some in with @include \"providers.conf\""},
    {ADDRESSES "pools: { p = { addresses = ( \"192.0.2.1\" ); }; };\n" STREAMS,
     "text:2: pools.p.addresses.1: there is no address 192.0.2.1; there are: a1"},
    {ADDRESSES "pools: { p = { addresses = ( \"a1\" ); overflow = ( \"spare\" ); };\n"
               "b1 = { addresses = ( \"a1\" ); }; b2 = { addresses = ( \"a1\" ); };\n"
               "b3 = { addresses = ( \"a1\" ); }; b4 = { addresses = ( \"a1\" ); };\n"
               "b5 = { addresses = ( \"a1\" ); }; b6 = { addresses = ( \"a1\" ); };\n"
               "b7 = { addresses = ( \"a1\" ); }; b8 = { addresses = ( \"a1\" ); };\n"
               "b9 = { addresses = ( \"a1\" ); }; };\n" STREAMS,
     "text:2: pools.p.overflow.1: there is no pool spare; there are: p, b1, b2, b3, b4, b5, b6, b7 "
     "and 2 more"},
    {ADDRESSES "pools: { p = { addresses = ( \"a1\" ); overflow = ( \"p\" ); }; };\n" STREAMS,
     "text:2: pools.p: overflow runs in a circle: p -> p; a ladder must end"},
    {ADDRESSES "pools: { p = { addresses = ( \"a1\" ); overflow = ( \"q\" ); };\n q = { addresses "
               "= ( \"a1\" ); overflow = ( \"r\" ); };\n r = { addresses = ( \"a1\" ); overflow = "
               "( \"q\" ); }; };\n" STREAMS,
     "text:2: pools.p: overflow runs in a circle: p -> q -> r -> q; a ladder must end"},
    {ADDRESSES "pools: { p = { addresses = ( \"a1\" ); tls = \"yes\"; }; };\n" STREAMS,
     "text:2: pools.p.tls: \"yes\" is no TLS level of Postfix (none, may, encrypt, dane, "
     "dane-only, fingerprint, verify, secure)"},
    {ADDRESSES "pools: { p = { addresses = ( \"a1\" ); concurrency = 5; };\n q = { addresses = ( "
               "\"a1\" ); }; };\n" STREAMS,
     "text:3: pools.q.addresses.1: a1 is in pool p, too, with another concurrency, rate_delay, "
     "recipient_limit or tls; these belong to its one Postfix service, so both pools must say the "
     "same"},
};

static const struct mistake of_streams[] = {
    {ADDRESSES POOLS STREAMS
     "store: { type = \"redis\"; url = \"redis://h\"; tls_ca = \"/ca\"; };\n",
     "text:4: store: tls_... is set, but url is not rediss://, so there is no TLS"},
    {ADDRESSES POOLS STREAMS
     "store: { type = \"redis\"; url = \"rediss://h\"; tls_key = \"/key\"; };\n",
     "text:4: store: tls_cert and tls_key: one needs the other"},
    {ADDRESSES POOLS, "text: streams is missing: The streams, in the order they are tried."},
    {ADDRESSES POOLS
     "streams: ( { name = \"x\"; pool = \"p\"; match = ( { sender = \"a@b\"; } ); } );\n",
     "text:3: streams: there is no catch-all; end with one such as { name = \"default\"; pool = "
     "\"p\"; match = (); }"},
    {ADDRESSES POOLS "streams: ( { name = \"x\"; pool = \"p\"; match = (); },\n { name = \"y\"; "
                     "pool = \"p\"; match = (); } );\n",
     "text:4: streams.2: is never reached: stream x before it takes every message; the catch-all "
     "must be the last"},
    {ADDRESSES POOLS "streams: ( { name = \"x\"; pool = \"p\"; } );\n",
     "text:3: streams.1: match is missing: Which messages it takes: groups of conditions; () is "
     "the catch-all."},
    {ADDRESSES POOLS
     "streams: ( { name = \"x\"; pool = \"p\"; hours = \"8-20\"; match = (); } );\n",
     "text:3: streams.1.hours: \"8-20\" are no hours: times are written as \"08:00-20:00\"; write "
     "such as \"mon-fri 08:00-20:00, sat 10:00-14:00\""},
    {ADDRESSES POOLS "streams: ( { name = \"x\"; pool = \"p\"; hours = \"08:00-20:00\"; "
                     "time_zone = \"/etc/passwd\"; match = (); } );\n",
     "text:3: streams.1.time_zone: \"/etc/passwd\" is no name of a time zone; write such as "
     "\"Europe/Berlin\""},
    {ADDRESSES POOLS "streams: ( { name = \"x\"; pool = \"o\"; match = (); } );\n",
     "text:3: streams.1.pool: there is no pool o; there are: p"},
    {ADDRESSES POOLS "streams: ( { name = \"X.y\"; pool = \"p\"; match = (); } );\n",
     "text:3: streams.1: the name \"X.y\" does not fit the tag in the sender: write up to 32 "
     "lower-case letters, digits and \"-\", starting with a letter"},
    {ADDRESSES POOLS "streams: ( { name = \"x\"; pool = \"p\"; match = ( { sender = \"a\"; } ); "
                     "},\n { name = \"x\"; pool = \"p\"; match = (); } );\n",
     "text:4: streams.2: stream x is there already, every name may stand once"},
    {ADDRESSES POOLS "streams: ( { name = \"x\"; pool = \"p\"; match = ( { } ); } );\n",
     "text:3: streams.1.match.1: an empty group would take every message; write match = () for the "
     "catch-all"},
    {ADDRESSES POOLS
     "streams: ( { name = \"x\"; pool = \"p\"; match = ( { value = \"a\"; } ); } );\n",
     "text:3: streams.1.match.1: value and regex need the header that they are about"},
    {ADDRESSES POOLS "streams: ( { name = \"x\"; pool = \"p\"; match = ( { header = \"X\"; regex = "
                     "\"(\"; } ); } );\n",
     "text:3: streams.1.match.1.regex: \"(\" is no POSIX extended regular expression: Unmatched ( "
     "or \\("},
    {ADDRESSES POOLS
     "streams: ( { name = \"x\"; pool = \"p\"; match = ( { sender = \"\"; } ); } );\n",
     "text:3: streams.1.match.1.sender: is empty, write a pattern or leave the key out"},
    {ADDRESSES POOLS "streams: ( { name = \"x\"; pool = \"p\"; require = ( \"one_from\",\n"
                     "\"one_clik\" ); match = (); } );\n",
     "text:4: streams.1.require.2: \"one_clik\" is nothing that can be required; there are "
     "\"list_unsubscribe\", \"one_click\", \"aligned_from\" and \"one_from\", did you mean "
     "\"one_click\"?"},
    {ADDRESSES POOLS "streams: ( { name = \"x\"; pool = \"p\"; require = ( 1 ); match = (); } );\n",
     "text:3: streams.1.require.1: is a number, a text in quotes is needed"},
    {ADDRESSES POOLS
     "streams: ( { name = \"x\"; pool = \"p\"; require = \"one_click\"; match = (); } );\n",
     "text:3: streams.1.require: is a text, a list of texts is needed, ( ..., ... )"},
    {ADDRESSES POOLS
     "streams: ( { name = \"x\"; pool = \"p\"; unmet = \"defer\"; match = (); } );\n",
     "text:3: streams.1.unmet: \"defer\" is none of \"warn\", \"tempfail\", \"reject\""},
};

/* where: what stands before what is said. */
static void
check(const char *before, const char *where, const struct mistake *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char *text = mem_printf("%s%s", before, cases[i].text);
        char *said = mem_printf("%s%s", where, cases[i].said);
        struct conf_problems problems = unit_problems(text);

        assert_true(problems.error_count > 0);
        assert_true(unit_says(&problems, said));
        /* a libconfig since 1.7 reads 4294967297 as it is, so that number is wrong twice */
        if (before[0] != '\0' && strstr(cases[i].text, "4294967297") == NULL)
            assert_int_equal(problems.error_count, 1);
        conf_problems_clear(&problems);
        free(text);
        free(said);
    }
}

static void
test_mistakes(void **state)
{
    (void)state;
    check(ADDRESSES POOLS STREAMS, "text:4: ", of_keys, COUNT(of_keys));
    check(ADDRESSES POOLS STREAMS, "text:4: ", of_providers, COUNT(of_providers));
    check(ADDRESSES POOLS STREAMS, "text:4: ", of_lists, COUNT(of_lists));
    check("", "", of_syntax, COUNT(of_syntax));
    check("", "", of_addresses, COUNT(of_addresses));
    check("", "", of_pools, COUNT(of_pools));
    check("", "", of_streams, COUNT(of_streams));
}

/* All names that stand twice, each in its own group; a value or another group's name is none. */
static void
test_names_that_stand_twice(void **state)
{
    struct conf_problems problems = unit_problems(
        "node = \"n\";\naddresses: { a1 = { ip = \"192.0.2.1\"; helo = \"a1.test\"; };\n"
        "a2 = { ip = \"192.0.2.2\"; /* ip */ ip // x\n : \"192.0.2.3\"; helo = \"a1.test\"; }\n"
        "a1 { }; \"a2\" a1\n= { helo = \"a1.test\"; }; };\n# node = 1\n"
        "pools: { p = { addresses = ( \"a1\", { name = \"a1\"; }, { name = \"a2\"; } ); }; };\n"
        "node = \"n\";\nx = [ true, node, node ];\nnode = { node = 1; }; nod = 1;");

    (void)state;
    assert_int_equal(problems.error_count, 4);
    assert_true(unit_says(&problems,
                          "text:3: ip is in this group already, in line 3; every name may "
                          "stand once"));
    assert_true(unit_says(&problems,
                          "text:5: a1 is in this group already, in line 2; every name may "
                          "stand once"));
    assert_true(unit_says(&problems,
                          "text:9: node is in this group already, in line 1; every name may "
                          "stand once"));
    assert_true(unit_says(&problems,
                          "text:11: node is in this group already, in line 1; every name "
                          "may stand once"));
    conf_problems_clear(&problems);
}

/* Every mistake is told in one run. */
static void
test_all_mistakes_at_once(void **state)
{
    struct conf_problems problems = unit_problems(
        "nod = \"x\";\naddresses: { a1 = { ip = \"x\"; helo = \"a1.test\"; }; };\n"
        "pools: { p = { addresses = ( \"a9\" ); }; };\nstreams: ( { name = \"x\"; pool "
        "= \"q\"; match = 5; } );\n");

    (void)state;
    assert_int_equal(problems.error_count, 5);
    conf_problems_clear(&problems);
}

static void
test_warnings(void **state)
{
    struct conf_problems problems = unit_problems(
        "addresses: { a1 = { ip = \"192.0.2.1\"; helo = \"a1.test\"; };\n a2 = { ip = "
        "\"192.0.2.2\"; helo = "
        "\"a2.test\"; }; };\npools: { p = { addresses = ( \"a1\" ); };\n q = { "
        "addresses = ( \"a1\" ); }; };\n"
        "streams: ( { name = \"default\"; pool = \"p\"; match = (); unmet = \"reject\"; } );\n");

    (void)state;
    assert_int_equal(problems.error_count, 0);
    assert_true(unit_says(&problems, "text:5: warning: streams.1.unmet: has no effect: nothing is "
                                     "required of this stream"));
    assert_true(unit_says(&problems, "text:2: warning: addresses.a2: no pool uses this address"));
    assert_true(unit_says(&problems, "text:4: warning: pools.q: no stream leads to this pool"));
    conf_problems_clear(&problems);
}

static void
test_ipv6_warning(void **state)
{
    struct conf_problems problems = unit_problems(
        "addresses: { a1 = { ip = \"192.0.2.1\"; helo = \"a1.test\"; };\n a2 = { ip = "
        "\"2001:db8::2\"; helo = \"a2.test\"; }; };\n"
        "pools: { p = { addresses = ( \"a1\", \"a2\" ); }; };\n" STREAMS);

    (void)state;
    assert_int_equal(problems.error_count, 0);
    assert_true(unit_says(&problems,
                          "text:3: warning: pools.p: a2 is IPv6: what it gets for a domain "
                          "without IPv6 is deferred until it expires, and the pool's other "
                          "addresses are not tried"));
    conf_problems_clear(&problems);
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
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
