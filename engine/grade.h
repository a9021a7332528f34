/*
 * What is thought of an account, and what may be wrong with its mail.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef ENGINE_GRADE_H
#define ENGINE_GRADE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum grade {
    GRADE_NEW,       /* nothing is known of it, or not enough */
    GRADE_TRUSTED,   /* it sent enough, and well */
    GRADE_ATTENTION, /* too much of what it sent went wrong */
    GRADES,
};

enum fault {
    FAULT_BOUNCE,    /* refused for good: there is no such recipient, or it takes nothing */
    FAULT_BLOCK,     /* refused for good because of who sends, or what */
    FAULT_COMPLAINT, /* its recipient says that it was not wanted */
    FAULTS,
};

enum { FAULT_ALL = 10000 }; /* a share of all */

/* How much of the mail may go wrong, of FAULT_ALL results. */
struct fault_limits {
    uint32_t shares[FAULTS];
};

/* "new", "trusted", "attention" */
const char *grade_text(enum grade grade);
bool grade_find(const char *text, size_t length, enum grade *ret_grade);

/* "bounces", "blocks", "complaints" */
const char *fault_text(enum fault fault);

#endif
