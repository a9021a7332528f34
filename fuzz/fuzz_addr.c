/*
 * The small readers of text: addresses, header values, patterns, IPs,
 * endpoints, numbers with units.
 *
 * Input: two texts, cut by NUL.  Each reader is given the first; the pattern
 * is the second.
 *
 * SPDX-License-Identifier: MIT
 */
#include "fuzz/fuzz.h"

#include "engine/glob.h"
#include "engine/ip.h"
#include "lib/addr.h"
#include "lib/endpoint.h"
#include "lib/err.h"
#include "lib/header.h"
#include "lib/mem.h"
#include "lib/units.h"

#include <ctype.h>
#include <string.h>

static void
check_addr(const char *text)
{
    char address[ADDR_MAX + 1], domain[256], little[8];
    struct addr addr;

    if (addr_split(text, &addr) == 0) {
        size_t length = addr.local_length + (addr.domain != NULL ? 1 + strlen(addr.domain) : 0);

        MUST(addr.local == text && length == strlen(text) && length <= ADDR_MAX);
        MUST(addr.domain == NULL || addr.domain[-1] == '@');
        MUST(!addr.quoted || (addr.local_length >= 2 && text[addr.local_length - 1] == '"'));
    }
    if (addr_unwrap(text, address) == 0) {
        MUST(strlen(address) <= ADDR_MAX);
        MUST(strstr(text, address) != NULL);
    }
    addr_domain(text, domain, sizeof(domain));
    MUST(strchr(domain, '@') == NULL);
    for (const char *c = domain; *c != '\0'; c++)
        MUST(*c < 'A' || *c > 'Z');
    addr_domain(text, little, sizeof(little));
    MUST(little[0] == '\0' || strcmp(little, domain) == 0);
}

static void
check_header(const char *text)
{
    char once[HEADER_VALUE_MAX + 1], twice[HEADER_VALUE_MAX + 1];
    size_t length;

    header_unfold(text, once);
    length = strlen(once);
    for (size_t i = 0; i < length; i++) {
        MUST((unsigned char)once[i] >= ' ' && once[i] != 127);
        MUST(once[i] != ' ' || (i > 0 && i < length - 1 && once[i + 1] != ' '));
    }
    header_unfold(once, twice);
    MUST(strcmp(once, twice) == 0);
}

static bool
same(char a, char b, bool fold)
{
    if (fold && isascii((unsigned char)a) && isascii((unsigned char)b))
        return tolower((unsigned char)a) == tolower((unsigned char)b);
    return a == b;
}

enum { GLOB_MAX = 60 };

/* By the book: matches[j]: does the pattern so far match the first j bytes of text? */
static bool
glob_slow(const char *pattern, const char *text, bool fold)
{
    bool matches[GLOB_MAX + 1] = {true};
    size_t length = strlen(text);

    for (; *pattern != '\0'; pattern++) {
        if (*pattern == '*') {
            for (size_t j = 1; j <= length; j++)
                matches[j] = matches[j] || matches[j - 1];
            continue;
        }
        for (size_t j = length; j > 0; j--)
            matches[j] = matches[j - 1] && (*pattern == '?' || same(*pattern, text[j - 1], fold));
        matches[0] = false;
    }
    return matches[length];
}

static void
check_glob(const char *pattern, const char *text)
{
    bool fold = glob_match(pattern, text, true);
    bool exact = glob_match(pattern, text, false);

    MUST(fold || !exact);
    if (strlen(text) <= GLOB_MAX) {
        MUST(exact == glob_slow(pattern, text, false));
        MUST(fold == glob_slow(pattern, text, true));
    }
}

static void
check_ip(const char *text)
{
    struct ip ip, again;
    struct ip_net net;
    char printed[IP_TEXT_SIZE];

    if (ip_parse(text, &ip)) {
        MUST(ip.family == 4 || ip.family == 6);
        ip_print(&ip, printed);
        MUST(ip_parse(printed, &again) && ip_compare(&ip, &again) == 0);
        MUST(ip_net_parse(text, &net) && net.prefix == (ip.family == 4 ? 32 : 128));
    }
    if (ip_net_parse(text, &net)) {
        MUST(net.prefix <= (net.ip.family == 4 ? 32 : 128));
        MUST(ip_net_has(&net, &net.ip));
    }
}

/* Each says why, on one line, and leaves its result alone. */
static void
check_units(const char *text)
{
    struct err err = {""};
    int64_t ms = -1;
    int mode = -1;

    if (units_parse_duration(text, &ms, &err) == 0)
        MUST(ms >= 0 && text[0] >= '0' && text[0] <= '9');
    else
        MUST(ms == -1 && err.msg[0] != '\0');
    err.msg[0] = '\0';
    if (units_parse_mode(text, &mode, &err) == 0)
        MUST(mode >= 0 && mode <= 0777);
    else
        MUST(mode == -1 && err.msg[0] != '\0');
    err.msg[0] = '\0';
    if (endpoint_check(text, &err) < 0)
        MUST(err.msg[0] != '\0');
    else
        MUST(strncmp(text, "inet:", 5) == 0 || endpoint_path(text)[0] == '/');
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, size};
    char *text = fuzz_text(&input);
    char *pattern = fuzz_text(&input);

    check_addr(text);
    check_header(text);
    check_glob(pattern, text);
    check_ip(text);
    check_units(text);
    free(pattern);
    free(text);
    return 0;
}
