/*
 * What the fuzz targets share: how input is cut up, what must hold, and a
 * configuration to hold it against.
 *
 * A target is one file with LLVMFuzzerTestOneInput().  libFuzzer brings its
 * own main(); without it fuzz/main.c runs a target over files.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef FUZZ_FUZZ_H
#define FUZZ_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Like assert(), whatever NDEBUG says. */
#define MUST(condition) ((condition) ? (void)0 : fuzz_failed(#condition, __FILE__, __LINE__))
void fuzz_failed(const char *condition, const char *file, int line) __attribute__((noreturn));

/* What is left of the input; taking moves on. */
struct fuzz_input {
    const uint8_t *data; /* not ours */
    size_t size;
};

uint8_t fuzz_byte(struct fuzz_input *input); /* 0 at the end */

/*
 * The bytes up to the next NUL or the end, as a text of its own on the heap,
 * so that a sanitizer sees the first byte read behind it.  The caller owns it.
 */
char *fuzz_text(struct fuzz_input *input);

struct conf;

/*
 * A configuration with all that a lookup or a message can meet: a pool of a
 * few addresses, one large enough for a tree, one without a present address
 * and one that overflows into it; a provider, and a few rules for replies.  Loaded once, not the
 * caller's.
 */
struct conf *fuzz_conf(void);

/* The same site, with the providers and the rules for replies that are installed. */
struct conf *fuzz_installed(void);

/* Is the address on the host of fuzz_conf()? */
bool fuzz_is_present(const char *address_name);

#endif
