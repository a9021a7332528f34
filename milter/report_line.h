/*
 * What the log says of a report on our mail, as one line to be counted by.
 *
 *   complaint: type=abuse, incidents=1, stream=bulk, id=k3vq2m7xw4ab, address=b1, ...
 *   bounce: recipients=1, status=5.1.1, stream=bulk, id=k3vq2m7xw4ab, from="news@example.com", ...
 *
 * Stream and id are there when a tag is genuine, and address when the report
 * names an IP of ours: what else is told is strangers' word.  What is their
 * text stands behind all else, in double quotes, where " and \ have a \ in
 * front, and is cut, so that it cannot be taken for anything else.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef MILTER_REPORT_LINE_H
#define MILTER_REPORT_LINE_H

#include "milter/report.h"

struct conf;

/* The caller owns the line.  came_to: the recipient of the report itself, without <>. */
char *report_line(const struct conf *conf, const struct report *report, const char *came_to);

#endif
