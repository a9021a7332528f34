/*
 * SPDX-License-Identifier: MIT
 */
#include "engine/ip.h"

#include <arpa/inet.h>
#include <string.h>

static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

bool
ip_parse(const char *text, struct ip *ret_ip)
{
    struct ip ip = {0};

    if (inet_pton(AF_INET, text, ip.bytes) == 1) {
        ip.family = 4;
    } else if (inet_pton(AF_INET6, text, ip.bytes) == 1) {
        ip.family = 6;
        if (memcmp(ip.bytes, mapped, sizeof(mapped)) == 0) {
            ip.family = 4;
            memmove(ip.bytes, ip.bytes + 12, 4);
            memset(ip.bytes + 4, 0, 12);
        }
    } else {
        return false;
    }
    *ret_ip = ip;
    return true;
}

/* Are the first prefix bits of a and b the same? */
static bool
same_bits(const uint8_t *a, const uint8_t *b, unsigned prefix)
{
    unsigned whole = prefix / 8;
    unsigned rest = prefix % 8;

    if (memcmp(a, b, whole) != 0)
        return false;
    return rest == 0 || ((a[whole] ^ b[whole]) >> (8 - rest)) == 0;
}

static bool
zero_behind(const struct ip_net *net)
{
    struct ip low = {.family = net->ip.family};
    unsigned whole = net->prefix / 8;

    memcpy(low.bytes, net->ip.bytes, whole);
    if (net->prefix % 8 != 0)
        low.bytes[whole] = (uint8_t)(net->ip.bytes[whole] & (0xff << (8 - net->prefix % 8)));
    return memcmp(low.bytes, net->ip.bytes, sizeof(low.bytes)) == 0;
}

bool
ip_net_parse(const char *text, struct ip_net *ret_net)
{
    struct ip_net net;
    char host[IP_TEXT_SIZE];
    const char *slash = strchr(text, '/');
    size_t length = slash != NULL ? (size_t)(slash - text) : strlen(text);
    unsigned bits, prefix = 0;

    if (length >= sizeof(host))
        return false;
    memcpy(host, text, length);
    host[length] = '\0';
    if (!ip_parse(host, &net.ip))
        return false;
    bits = net.ip.family == 4 ? 32 : 128;
    if (slash == NULL) {
        prefix = bits;
    } else {
        const char *digits = slash + 1;
        size_t count = strspn(digits, "0123456789");

        if (count == 0 || count > 3 || digits[count] != '\0')
            return false;
        for (size_t i = 0; i < count; i++)
            prefix = prefix * 10 + (unsigned)(digits[i] - '0');
        if (prefix > bits)
            return false;
    }
    net.prefix = (uint8_t)prefix;
    if (!zero_behind(&net))
        return false;
    *ret_net = net;
    return true;
}

void
ip_print(const struct ip *ip, char text[static IP_TEXT_SIZE])
{
    if (inet_ntop(ip->family == 6 ? AF_INET6 : AF_INET, ip->bytes, text, IP_TEXT_SIZE) == NULL)
        text[0] = '\0';
}

int
ip_compare(const struct ip *a, const struct ip *b)
{
    if (a->family != b->family)
        return a->family < b->family ? -1 : 1;
    return memcmp(a->bytes, b->bytes, sizeof(a->bytes));
}

bool
ip_net_has(const struct ip_net *net, const struct ip *ip)
{
    return net->ip.family == ip->family && same_bits(net->ip.bytes, ip->bytes, net->prefix);
}
