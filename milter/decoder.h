/*
 * A transfer encoding taken off, byte by byte.
 *
 * Pure.  What is no part of the encoding is passed over (base64), or stays as
 * it is (quoted-printable).  Source: RFC 2045, sections 6.7 and 6.8.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef MILTER_DECODER_H
#define MILTER_DECODER_H

#include <stddef.h>

enum decoder_way { DECODER_PLAIN, DECODER_BASE64, DECODER_QUOTED };

/* An all-zero struct decodes what is plain. */
struct decoder {
    enum decoder_way way;
    unsigned bits; /* base64: what is not given out yet */
    int bit_count;
    int held; /* quoted-printable: how much of "=X" is held back, 0 to 2 */
    char hex; /* its X */
};

enum { DECODER_OUT_MAX = 3 }; /* bytes that one byte can give */

/* By the value of a Content-Transfer-Encoding field; what is not known is plain. */
void decoder_start(struct decoder *decoder, const char *encoding);

/* Decode c to out.  Returns how many bytes it gave. */
size_t decoder_take(struct decoder *decoder, char c, char out[static DECODER_OUT_MAX]);

#endif
