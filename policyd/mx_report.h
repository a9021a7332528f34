/*
 * What "mx DOMAIN" on the control socket answers, and the line of the status.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef POLICYD_MX_REPORT_H
#define POLICYD_MX_REPORT_H

#include <stdint.h>

struct buf;
struct json;
struct mx;

/* Whose is domain?  JSON, or lines to read.  Asks DNS where it is not known; the caller frees it.
 */
char *mx_report_json(struct mx *mx, const char *domain, int64_t now_ms);
char *mx_report_text(struct mx *mx, const char *domain, int64_t now_ms);

/* The figures: a line to read; a member "dns". */
void mx_report_status_text(struct buf *text, const struct mx *mx);
void mx_report_status_json(struct json *json, const struct mx *mx);

#endif
