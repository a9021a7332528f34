/*
 * What the log says of a report on our mail, as one line to be counted by.
 *
 *   complaint: type=abuse, incidents=1, stream=bulk, id=k3vq2m7xw4ab, by=mark,
 *       account=example.com, address=b1, domain=provider.example, ...
 *   bounce: recipients=1, status=5.1.1, stream=bulk, id=k3vq2m7xw4ab, by=tag, from="..."...
 *
 * Stream and id are there when a tag or a mark is genuine, account when a mark is.  No tag leaves
 * the site: what has one is told by a host of the site itself.  address is there when the report
 * names an IP of ours, or one that handed on what came back, and domain, of the recipient, when it
 * looks like one: what else is told is strangers' word, as these two are.  What is their text
 * stands behind all else, in double quotes, where " and \ have a \ in front, and is cut, so that it
 * cannot be taken for anything else.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef MILTER_REPORT_LINE_H
#define MILTER_REPORT_LINE_H

#include "milter/report.h"

struct conf;

/* The headers of the message that came back which report_line() has to be told. */
enum report_line_header {
    REPORT_LINE_SHOWN, /* conf.complaint_header */
    REPORT_LINE_MARK,  /* conf.mark_header */
    REPORT_LINE_HEADERS,
};

/* The caller owns the line.  came_to: the recipient of the report itself, without <>. */
char *report_line(const struct conf *conf, const struct report *report, const char *came_to);

#endif
