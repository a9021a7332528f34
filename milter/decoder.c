/*
 * SPDX-License-Identifier: MIT
 */
#include "milter/decoder.h"

#include <string.h>
#include <strings.h>

void
decoder_start(struct decoder *decoder, const char *encoding)
{
    static const char base64[] = "base64", quoted[] = "quoted-printable";

    *decoder = (struct decoder){.way = DECODER_PLAIN};
    if (strncasecmp(encoding, base64, sizeof(base64) - 1) == 0)
        decoder->way = DECODER_BASE64;
    else if (strncasecmp(encoding, quoted, sizeof(quoted) - 1) == 0)
        decoder->way = DECODER_QUOTED;
}

static int
base64_value(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

static size_t
take_base64(struct decoder *decoder, char c, char *out)
{
    int value = base64_value(c);

    if (c == '=')
        decoder->bit_count = 0; /* what follows begins anew */
    if (value < 0)
        return 0;
    decoder->bits = (decoder->bits << 6 | (unsigned)value) & 0xfff;
    decoder->bit_count += 6;
    if (decoder->bit_count < 8)
        return 0;
    decoder->bit_count -= 8;
    out[0] = (char)(decoder->bits >> decoder->bit_count & 0xff);
    return 1;
}

static int
hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
        return (c | 0x20) - 'a' + 10;
    return -1;
}

/* A "=" that begins nothing stays, and so does what follows. */
static size_t
give_up(struct decoder *decoder, char c, char *out)
{
    size_t used = 0;

    out[used++] = '=';
    if (decoder->held == 2)
        out[used++] = decoder->hex;
    out[used++] = c;
    decoder->held = 0;
    return used;
}

static size_t
take_quoted(struct decoder *decoder, char c, char *out)
{
    if (decoder->held == 0) {
        decoder->held = c == '=';
        out[0] = c;
        return c != '=';
    }
    if (decoder->held == 1 && c == '\r')
        return 0;
    if (decoder->held == 1 && c == '\n') { /* the line goes on */
        decoder->held = 0;
        return 0;
    }
    if (hex_value(c) < 0)
        return give_up(decoder, c, out);
    if (decoder->held == 1) {
        decoder->held = 2;
        decoder->hex = c;
        return 0;
    }
    decoder->held = 0;
    out[0] = (char)(hex_value(decoder->hex) << 4 | hex_value(c));
    return 1;
}

size_t
decoder_take(struct decoder *decoder, char c, char out[static DECODER_OUT_MAX])
{
    switch (decoder->way) {
    case DECODER_BASE64:
        return take_base64(decoder, c, out);
    case DECODER_QUOTED:
        return take_quoted(decoder, c, out);
    case DECODER_PLAIN:
        break;
    }
    out[0] = c;
    return 1;
}
