/*
 * What every unit test includes: cmocka and its needs, in their order.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TESTS_UNIT_UNIT_H
#define TESTS_UNIT_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

struct conf;
struct conf_problems;

/* A configuration that must be good; the caller gives it back with conf_unref(). */
struct conf *unit_conf(const char *text);

/* The example that is installed, which must be good, too. */
struct conf *unit_example(void);

/* What is wrong with a configuration; the caller clears it. */
struct conf_problems unit_problems(const char *text);

/* Is that one of the problems, word for word?  If not, all of them are printed. */
bool unit_says(const struct conf_problems *problems, const char *text);

/* The smallest addresses, pools and streams, for tests that are about something else. */
extern const char unit_site[];

/* unit_conf() of it and more lines. */
struct conf *unit_conf_with(const char *more);

#endif
