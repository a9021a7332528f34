/*
 * SPDX-License-Identifier: MIT
 */
#include "lib/nameserver.h"

#include "lib/err.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_MAX = 64, DNS_PORT = 53, PORT_DIGITS = 5 };

static bool
parse_port(const char *text, uint16_t *ret_port)
{
    size_t length = strlen(text);
    unsigned long port;

    if (length == 0 || length > PORT_DIGITS || strspn(text, "0123456789") != length)
        return false;
    port = strtoul(text, NULL, 10);
    if (port == 0 || port > UINT16_MAX)
        return false;
    *ret_port = (uint16_t)port;
    return true;
}

/* Cut "[address]:port", "[address]" or "address:port" in text into its two; port may be NULL. */
static bool
cut(char *text, char **ret_address, char **ret_port)
{
    char *end;

    *ret_address = text;
    *ret_port = NULL;
    if (text[0] == '[') {
        *ret_address = text + 1;
        end = strchr(text, ']');
        if (end == NULL || (end[1] != ':' && end[1] != '\0'))
            return false;
        *ret_port = end[1] == ':' ? end + 2 : NULL;
        *end = '\0';
        return strchr(*ret_address, ':') != NULL; /* brackets are for IPv6 */
    }
    end = strchr(text, ':');
    if (end != NULL && strchr(end + 1, ':') == NULL) { /* more of them: IPv6 without a port */
        *ret_port = end + 1;
        *end = '\0';
    }
    return true;
}

int
nameserver_parse(const char *text, struct nameserver *ret_server, struct err *err)
{
    struct nameserver server = {.port = DNS_PORT};
    char copy[TEXT_MAX], *address, *port;

    if (strlen(text) < sizeof(copy)) {
        strcpy(copy, text);
        if (cut(copy, &address, &port) && ip_parse(address, &server.ip) &&
            (port == NULL || parse_port(port, &server.port))) {
            *ret_server = server;
            return 0;
        }
    }
    return err_set(err, -EINVAL,
                   "\"%s\" is no DNS server, write its IP address, such as \"192.0.2.53\", "
                   "\"127.0.0.1:5353\" or \"[2001:db8::53]:5353\"",
                   text);
}
