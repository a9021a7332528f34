/*
 * The syntax of envelope addresses, as far as postpool must know it.
 *
 * Source: RFC 5321, section 4.1.2 (Mailbox); RFC 6531 for UTF-8.  Nothing is
 * read into a local part but where it ends.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef LIB_ADDR_H
#define LIB_ADDR_H

#include <stdbool.h>
#include <stddef.h>

/* Longest address that postpool works on, in bytes; longer ones are left alone. */
enum { ADDR_MAX = 1000 };

/* All pointers point into the text given. */
struct addr {
    const char *local; /* quotes included */
    size_t local_length;
    bool quoted;        /* local is a quoted string */
    const char *domain; /* behind the '@', up to the end; NULL: there is no '@' */
};

/*
 * Split text, an address without <>.  Returns 0, or -EINVAL for text that is
 * empty, longer than ADDR_MAX, holds control characters, starts a source
 * route, or whose quotes do not end where the local part does.
 */
int addr_split(const char *text, struct addr *ret_addr);

/*
 * Copy the address between < and > (or all of text) to out, which holds
 * ADDR_MAX + 1 bytes.  Returns 0, or -EINVAL if it does not fit or < has no >.
 */
int addr_unwrap(const char *text, char out[static ADDR_MAX + 1]);

/*
 * Copy the domain of address, lower case (ASCII) and without a dot at its end,
 * to out, which holds size bytes.  "" when there is none or it does not fit.
 */
void addr_domain(const char *address, char *out, size_t size);

void addr_lower(char *text); /* ASCII letters, in place */

#endif
