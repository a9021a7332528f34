/*
 * SPDX-License-Identifier: MIT
 */
#include "tests/unit/reports.h"

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

#define NOTHING "none\n"

const struct report_sample reports_hostile[] = {
    {"no report",
     "Subject: complaint about message from 192.0.2.21\n"
     "\n"
     "Feedback-Type: abuse\n"
     "X-HmXmrOriginalRecipient: <dora@hotmail.example>\n",
     NOTHING},
    {"nothing at all", "", NOTHING},
    {"a header alone", "Content-Type: multipart/report; boundary=x\n", NOTHING},
    {"a message that was passed on",
     "Content-Type: multipart/mixed; boundary=x\n"
     "\n"
     "--x\n"
     "Content-Type: message/rfc822\n"
     "\n" OURS "--x--\n",
     "none " FROM_OURS " header=42:acme:news:example\n"},
    {"a report in the text, and in the message that came back",
     "Content-Type: multipart/report; report-type=feedback-report; boundary=x\n"
     "\n"
     "--x\n"
     "\n"
     "Content-Type: message/feedback-report\n"
     "\n"
     "Feedback-Type: abuse\n"
     "--x\n"
     "Content-Type: message/rfc822\n"
     "\n"
     "Content-Type: multipart/report; boundary=y\n"
     "\n"
     "--y\n"
     "Content-Type: message/feedback-report\n"
     "\n"
     "Feedback-Type: abuse\n"
     "Return-Path: <" REPORTS_SENDER ">\n"
     "X-HmXmrOriginalRecipient: <dora@hotmail.example>\n"
     "--y--\n"
     "--x--\n",
     "none sender= tags= returned=yes\n"},
    {"a second report, and a second message, in one that is there",
     "Content-Type: multipart/report; boundary=x\n"
     "\n"
     "--x\n"
     "Content-Type: message/feedback-report\n"
     "\n"
     "Feedback-Type: fraud\n"
     "Feedback-Type: abuse\n"
     "\n"
     "Source-IP: 192.0.2.21\n"
     "--x\n"
     "Content-Type: message/rfc822\n"
     "\n"
     "Feedback-ID: first\n"
     "Feedback-ID: second\n"
     "\n"
     "--x\n"
     "Content-Type: message/delivery-status\n"
     "\n"
     "Final-Recipient: rfc822; ann@mx.example\n"
     "Action: failed\n"
     "--x\n"
     "Content-Type: message/rfc822\n"
     "\n"
     "Return-Path: <" REPORTS_SENDER ">\n"
     "--x--\n"
     "Content-Type: message/feedback-report\n"
     "--x\n",
     "feedback fraud incidents=1 source=192.0.2.21 reporter= arrival= sender= tags= returned=yes "
     "header=first\n"},
    {"boundaries that never close, of a part that has none, and of one within another",
     "Content-Type: multipart/report; boundary=x\n"
     "\n"
     "--x--y\n"
     "-- x\n"
     "--x\n"
     "Content-Type: multipart/mixed\n"
     "\n"
     "--\n"
     "--x\n"
     "Content-Type: multipart/mixed; boundary=x\n"
     "--x\n"
     "Content-Type: message/feedback-report\n"
     "\n"
     "Feedback-Type: abuse",
     "feedback abuse incidents=1 source= reporter= arrival= sender= tags= returned=no\n"},
    {"lines that only begin as a boundary does",
     "Content-Type: multipart/report; boundary=x\n"
     "\n"
     "--x\n"
     "Content-Type: message/feedback-report\n"
     "\n"
     "--xy\n"
     "--x-\n"
     "-x\n"
     "Feedback-Type: abuse\n",
     "feedback abuse incidents=1 source= reporter= arrival= sender= tags= returned=no\n"},
    {"a report behind the last boundary",
     "Content-Type: multipart/report; boundary=x\n"
     "\n"
     "--x\n"
     "\n"
     "--x--\n"
     "--x\n"
     "Content-Type: message/feedback-report\n"
     "\n"
     "Feedback-Type: abuse\n",
     NOTHING},
    {"a multipart that the one around it ends",
     "Content-Type: multipart/report; boundary=x\n"
     "\n"
     "--x\n"
     "Content-Type: multipart/mixed; boundary=y\n"
     "\n"
     "--y\n"
     "\n"
     "--x\n"
     "Content-Type: message/feedback-report\n"
     "\n"
     "Feedback-Type: abuse\n"
     "--y\n"
     "Source-IP: 192.0.2.21\n",
     "feedback abuse incidents=1 source=192.0.2.21 reporter= arrival= sender= tags= "
     "returned=no\n"},
    {"two types, parameters that look like a boundary, and an end that is cut off",
     "Content-Type: multipart/report; a=\"\\\"; boundary=no\"; boundary2=no; boundary = \"\\x\" "
     ";\n"
     "Content-Type: text/plain\n"
     "\n"
     "--x\n"
     "Content-Type: message/feedback-report\n"
     "Content-Type: text/plain\n"
     "Content-Transfer-Encoding: quoted-printable\n"
     "Content-Transfer-Encoding: base64\n"
     "\n"
     "Feedback-Type: not=\n"
     "-spam",
     "feedback not-spam incidents=1 source= reporter= arrival= sender= tags= returned=no\n"},
    {"what is no quoted-printable, and a space where none belongs",
     "Content-Type: message/feedback-report\n"
     "Content-Transfer-Encoding: quoted-printable\n"
     "\n"
     "Feedback-Type : abuse\n"
     "User-Agent: =zz=4z=3d==\n"
     "x=\n",
     "feedback abuse incidents=1 source= reporter==zz=4z=== arrival= sender= tags= returned=no\n"},
    {"parts too deep",
     "Content-Type: multipart/mixed; boundary=a\n\n--a\n"
     "Content-Type: multipart/mixed; boundary=b\n\n--b\n"
     "Content-Type: multipart/mixed; boundary=c\n\n--c\n"
     "Content-Type: multipart/mixed; boundary=d\n\n--d\n"
     "Content-Type: multipart/mixed; boundary=e\n\n--e\n"
     "Content-Type: message/feedback-report\n\nFeedback-Type: abuse\n",
     NOTHING},
    {"parts just not too deep",
     "Content-Type: multipart/mixed; boundary=a\n\n--a\n"
     "Content-Type: multipart/mixed; boundary=b\n\n--b\n"
     "Content-Type: multipart/mixed; boundary=c\n\n--c\n"
     "Content-Type: multipart/mixed; boundary=d\n\n--d\n"
     "Content-Type: message/feedback-report\n\nFeedback-Type: abuse\n",
     "feedback abuse incidents=1 source= reporter= arrival= sender= tags= returned=no\n"},
    {"a report without anything that belongs in it",
     "Content-Type: message/feedback-report\n"
     "\n"
     "no field\n"
     ": none\n"
     " of\n"
     "Feedback Type: abuse\n"
     "From ann@mx.example Fri Nov 27 08:00:00 2026\n"
     "Version: 1\n",
     NOTHING},
    {"controls and bytes that are no text",
     "Content-Type: message/feedback-report\n"
     "\n"
     "Feedback-Type: ab\001use\xff\n"
     "User-Agent: a\rb\033[2J\xff\n"
     "Original-Mail-From: <a\tb@\x80>\n",
     "feedback other incidents=1 source= reporter=a b?[2J\xff arrival= sender=a tags= "
     "returned=no\n"},
};
const size_t reports_hostile_count = COUNT(reports_hostile);
