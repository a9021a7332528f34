/*
 * What the figures of the last 30 days, of all hosts, warn of (engine/advice.h),
 * in words.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef POLICYD_HOURS_ADVICE_H
#define POLICYD_HOURS_ADVICE_H

#include <stdint.h>

struct buf;
struct conf;
struct err;
struct hours_advice;
struct hours_file;
struct hours_thread;
struct json;

enum { HOURS_ADVICE_MAX = 50 }; /* warnings; of more it is said how many */

/* For the hours up to now_hour.  Blocks.  0 or a negative errno. */
int hours_advice_make(struct hours_file *file, const struct conf *conf, int64_t now_hour,
                      struct hours_advice **ret_advice, struct err *err);
void hours_advice_free(struct hours_advice *advice); /* takes NULL */

/* The same in the thread; *advice is replaced when it is done, and must stay as long as thread. */
void hours_advice_ask(struct hours_thread *thread, struct conf *conf, struct hours_advice **advice);

/* A line for each; NULL is none. */
void hours_advice_print(const struct hours_advice *advice, struct buf *text);

/* A member "warnings" of the open object: an array. */
void hours_advice_json(const struct hours_advice *advice, struct json *json);

#endif
