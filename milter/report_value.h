/*
 * Values of the fields of a report, each read as its field has to be.
 *
 * Pure.  A value is one line, as header_unfold() makes it.  What is read goes
 * where nothing stands yet: the first field of a name counts.  What does not
 * fit, or is nothing of the kind, leaves it so; only text is cut.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef MILTER_REPORT_VALUE_H
#define MILTER_REPORT_VALUE_H

#include "milter/report.h"

/* Is value of this type, "smtp; 550 ..."? */
bool report_value_is_of(const char *value, const char *type);

/* Text for people, and the same behind its type, if it has one. */
void report_take_text(const char *value, char out[static REPORT_TEXT_MAX + 1]);
void report_take_typed(const char *value, char out[static REPORT_TEXT_MAX + 1]);

/* The first word. */
void report_take_word(const char *value, char out[static REPORT_WORD_MAX + 1]);

/*
 * An address, "rfc822; <joe@a.test>" or any part of that.  What "utf-8" has
 * escaped (RFC 6533, section 3) is UTF-8 again.  size is of out.
 */
void report_take_address(const char *value, char *out, size_t size);

/* The IP of who handed the message in, by a Received field; false: it tells none. */
bool report_read_received(const char *value, struct ip *ret_ip);

void report_take_ip(const char *value, struct ip *out); /* also "[192.0.2.1]", "IPv6:2001:db8::1" */
void report_take_count(const char *value, unsigned max, unsigned *out); /* more than max is max */
void report_take_status(const char *value, char out[static REPORT_STATUS_MAX + 1]);
void report_take_action(const char *value, enum report_action *out);

#endif
