/*
 * Reports as they come in by mail, written after the specifications and what
 * providers publish of their formats; hosts and people are made up.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TESTS_UNIT_REPORTS_H
#define TESTS_UNIT_REPORTS_H

#include <stddef.h>

/* A tag that looks genuine, in the senders of the messages that came back. */
#define REPORTS_TAG "bulk.abcdefghij23.klmnop45"
#define REPORTS_SENDER "news+pp=" REPORTS_TAG "@example.com"

/* The message that came back, and what its header tells. */
#define OURS                                                                  \
    "Return-Path: <" REPORTS_SENDER ">\n"                                     \
    "Received: from b1.mail.example.com ([192.0.2.21])\n"                     \
    "\tby mx.provider.example with ESMTPS; Fri, 27 Nov 2026 08:00:00 +0000\n" \
    "From: News <news@example.com>\n"                                         \
    "Feedback-ID: 42:acme:news:example\n"                                     \
    "Subject: Our news\n"                                                     \
    "\n"                                                                      \
    "Buy now.\n"

#define FROM_OURS "sender=news@example.com tags=" REPORTS_TAG " returned=yes"

struct report_sample {
    const char *name;
    const char *text;   /* the whole message, lines end in LF */
    const char *result; /* as test_report.c prints it */
};

extern const struct report_sample reports_feedback[], reports_status[], reports_hostile[];
extern const size_t reports_feedback_count, reports_status_count, reports_hostile_count;

#endif
