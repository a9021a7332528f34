/*
 * SPDX-License-Identifier: MIT
 */
#include "transport-maps/table.h"

#include "lib/mem.h"

#include <string.h>

#define WRITTEN "# Written by 'postpool transports apply', which will write it anew.\n"

/* The tag in its own alphabet: anything wider eats the closing quote of a quoted local part. */
#define TAG "\\+pp=[a-z0-9-]{1,32}\\.[a-z2-7]{12,16}\\.[a-z2-7]{8}"

const char *const table_names[TABLE_COUNT] = {"untag", "last-sender", "last-recipient", "only-ipv6",
                                              "refused"};

char *
table_map(const char *dir, enum table table)
{
    return mem_printf("regexp:%s/postpool/%s", dir, table_names[table]);
}

char *
table_untag(void)
{
    return mem_strdup(WRITTEN
                      "#\n"
                      "# Takes postpool's tag out of an address: user+pp=STREAM.ID.MAC@domain.\n"
                      "# Behind it stand the end of the local part, or what VERP adds.\n"
                      "\n"
                      "# An empty local part, which was written \"\" before the tag came.\n"
                      "/^" TAG "$/ \"\"\n"
                      "/^" TAG "(@.*)$/ \"\"${1}\n"
                      "\n"
                      "/^(.+)" TAG "$/ ${1}\n"
                      "/^(.*)" TAG "(\"?@.*|\"|[-+=].*)$/ ${1}${2}\n");
}

/* A text as a pattern that matches it and nothing else. */
static void
print_literal(struct buf *out, const char *text)
{
    buf_puts(out, "/^");
    for (; *text != '\0'; text++) {
        if (strchr("\\^$.[]|()*+?{}/", *text) != NULL)
            buf_puts(out, "\\");
        buf_add(out, text, 1);
    }
    buf_puts(out, "$/ go\n");
}

char *
table_last_sender(const char *null_key, const char *null_relay_key)
{
    struct buf out = {0};

    buf_puts(&out, WRITTEN "#\n# The last key that Postfix tries for a sender.\n\n"
                           "/^@[^@]*$/ go\n"
                           "/^<>$/ go\n");
    if (strcmp(null_key, "<>") != 0 && *null_key != '\0')
        print_literal(&out, null_key);
    if (strcmp(null_relay_key, "<>") != 0 && *null_relay_key != '\0' &&
        strcmp(null_relay_key, null_key) != 0)
        print_literal(&out, null_relay_key);
    return buf_take(&out);
}

char *
table_last_recipient(void)
{
    /*
     * ".com", or one label; with transport_maps in
     * parent_domain_matches_subdomains "com".  [192.0.2.1] ends in ".1]".  "*"
     * is no domain: Postfix asks for it once, and its answer would hold for all.
     */
    return mem_strdup(WRITTEN "#\n# The last key that Postfix tries for a recipient.\n\n"
                              "if !/^[*]$/\n"
                              "/^[.]?[^.@]*[.]?$/ go\n"
                              "endif\n");
}

char *
table_only_ipv6(void)
{
    /* By DNS, by /etc/hosts (glibc's words), and an address in the place of a domain. */
    return mem_strdup(WRITTEN
                      "#\n"
                      "# For services that speak IPv6 only.  A domain without an IPv6 address is\n"
                      "# out of their reach, but that is no reason to return the mail.\n"
                      "\n"
                      "/^5(\\.[0-9.]+ .* type=AAAA: Host found but no data record .*)$/ 4${1}\n"
                      "/^5(\\.[0-9.]+ unable to look up host .*: (No address associated with "
                      "hostname|Address family for hostname not supported).*)$/ 4${1}\n"
                      "/^5(\\.[0-9.]+ .*[0-9]+\\.[0-9]+\\.[0-9]+\\.[0-9]+.*invalid host or "
                      "domain name.*)$/ 4${1}\n");
}

char *
table_refused(void)
{
    return mem_strdup(WRITTEN
                      "#\n"
                      "# What a server refused for good: policyd is asked about that alone.\n"
                      "\n"
                      "/^(5\\.[0-9.]+ host [^ ]+ said: 5.*)$/ ${1}\n");
}

void
table_encode(struct buf *out, const char *text)
{
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;

        if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
            c == '.' || c == '-')
            buf_add(out, text, 1);
        else
            buf_printf(out, "%%%02X", c);
    }
}
