/*
 * SPDX-License-Identifier: MIT
 */
#include "fuzz/fuzz.h"

#include "lib/conf.h"
#include "lib/err.h"
#include "lib/file.h"
#include "lib/mem.h"

#include <string.h>

void
fuzz_failed(const char *condition, const char *file, int line)
{
    fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, condition);
    abort();
}

uint8_t
fuzz_byte(struct fuzz_input *input)
{
    if (input->size == 0)
        return 0;
    input->size--;
    return *input->data++;
}

char *
fuzz_text(struct fuzz_input *input)
{
    const uint8_t *end = input->size > 0 ? memchr(input->data, 0, input->size) : NULL;
    size_t length = end != NULL ? (size_t)(end - input->data) : input->size;
    char *text = mem_array(length + 1, 1);

    if (length > 0)
        memcpy(text, input->data, length);
    input->data += length + (end != NULL);
    input->size -= length + (end != NULL);
    return text;
}

enum { MANY = 40 }; /* addresses of the large pool */

static const char site[] =
    "tag_secret_file = \"/nonexistent/tag.secret\";\n"
    "milter: { strip = ( \"X-Stream\", \"X-Mailer\" ); internal = ( \"10.0.0.0/8\", \"::1\" );\n"
    "          local_domains = ( \"local.test\" ); };\n"
    "pools: { few = { addresses = ( { name = \"a1\"; weight = 3; }, \"a2\", \"a3\" ); };\n"
    "         gone = { addresses = ( \"g1\" ); };\n"
    "         ladder = { addresses = ( \"g1\" ); overflow = ( \"few\" ); };\n"
    "         many = { addresses = ( %s ); }; };\n"
    "streams: ( { name = \"tx\"; pool = \"few\"; match = (\n"
    "               { header = \"X-Stream\"; value = \"tx\"; },\n"
    "               { sasl_user = \"app-*\"; }, { daemon = \"tx\"; } ); },\n"
    "           { name = \"news-1\"; pool = \"many\"; mark = true;\n"
    "               feedback_id = \"{stream}:{account}:example\"; unmet = \"reject\"; require = (\n"
    "               \"list_unsubscribe\", \"one_click\", \"aligned_from\", \"one_from\" ); match = "
    "(\n"
    "               { sender = \"*@lists.test\"; }, { header = \"List-Id\"; },\n"
    "               { header = \"Subject\"; regex = \"^[Nn]ews [0-9]+\"; } ); },\n"
    "           { name = \"gone\"; pool = \"gone\"; match = (\n"
    "               { sender = \"gone@*\"; }, { recipient = \"*@gone.test\"; } ); },\n"
    "           { name = \"ladder\"; pool = \"ladder\"; match = (\n"
    "               { sender = \"<>\"; }, { client = \"10.1.0.0/16\"; header = \"X-Two\"; } ); },\n"
    "           { name = \"default\"; pool = \"many\"; match = (); } );\n"
    "warmup: { hint = { header = \"X-Engaged\"; values = { high = \"7d\"; low = \"never\"; }; "
    "match = "
    "( { sasl_user = \"app-*\"; }, { header = \"X-Two\"; } ); }; };\n"
    "complaints: { addresses = ( \"fbl@*\", \"*@bounces.test\" ); };\n"
    "bypass = ( \"internal.test\" );\n";

static const char rules[] =
    "providers: { google = { domains = ( \"gmail.test\" ); mx = ( \".google.test\" ); }; };\n"
    "replies: ( { name = \"theirs\"; provider = \"google\"; class = \"address_provider\";\n"
    "             pattern = \"unusual (rate|mail)\"; samples = ( \"550 unusual rate\" ); },\n"
    "           { name = \"unknown\"; class = \"recipient\"; enhanced = \"5.1.?\";\n"
    "             samples = ( \"550 5.1.1 who?\" ); },\n"
    "           { name = \"blocked\"; class = \"address\"; code = 5; pattern = \"blocked\";\n"
    "             samples = ( \"550 5.7.1 blocked\" ); } );\n";

static char *
site_text(void)
{
    struct buf text = {0}, members = {0};

    buf_puts(&text, "addresses: { g1 = { ip = \"192.0.2.1\"; helo = \"g1.test\"; };\n");
    for (int i = 1; i <= 3; i++)
        buf_printf(&text, "a%d = { ip = \"127.0.1.%d\"; helo = \"a%d.test\"; };\n", i, i, i);
    for (int i = 1; i <= MANY; i++) {
        buf_printf(&text, "m%d = { ip = \"127.0.2.%d\"; helo = \"m%d.test\"; };\n", i, i, i);
        buf_printf(&members, "%s\"m%d\"", i > 1 ? ", " : "", i);
    }
    buf_puts(&text, "};\n");
    buf_printf(&text, site, buf_text(&members));
    buf_clear(&members);
    return buf_take(&text);
}

/* Takes text. */
static struct conf *
load(char *text)
{
    struct conf_problems problems = {0};
    struct conf *conf;

    if (conf_load_text(text, &conf, &problems) < 0) {
        for (size_t i = 0; i < problems.count; i++)
            fprintf(stderr, "%s\n", problems.items[i].text);
        abort();
    }
    conf_problems_clear(&problems);
    free(text);
    memset(conf->secret, 7, sizeof(conf->secret));
    conf->secret_known = true;
    return conf;
}

struct conf *
fuzz_conf(void)
{
    static struct conf *conf;

    if (conf == NULL) {
        char *lines = site_text();

        conf = load(mem_printf("%s%s", lines, rules));
        free(lines);
    }
    return conf;
}

/* One of the files in docs. */
static char *
installed(const char *name)
{
    char *path = mem_printf("%s/%s", FUZZ_DOCS, name), *text;
    struct err err;

    if (file_read(path, &text, &err) < 0) {
        fprintf(stderr, "%s\n", err.msg);
        abort();
    }
    free(path);
    return text;
}

struct conf *
fuzz_installed(void)
{
    static struct conf *conf;
    char *site_lines, *providers, *replies;

    if (conf != NULL)
        return conf;
    site_lines = site_text();
    providers = installed("providers.conf");
    replies = installed("replies.conf");
    conf = load(mem_printf("%s\n%s\n%s", site_lines, providers, replies));
    free(site_lines);
    free(providers);
    free(replies);
    return conf;
}

bool
fuzz_is_present(const char *address_name)
{
    return strcmp(address_name, "g1") != 0;
}
