/*
 * SPDX-License-Identifier: MIT
 */
#include "engine/grade.h"

#include <string.h>

const char *
grade_text(enum grade grade)
{
    static const char *const texts[] = {
        [GRADE_NEW] = "new", [GRADE_TRUSTED] = "trusted", [GRADE_ATTENTION] = "attention"};

    return grade < GRADES ? texts[grade] : "?";
}

bool
grade_find(const char *text, size_t length, enum grade *ret_grade)
{
    for (int i = 0; i < GRADES; i++) {
        const char *name = grade_text((enum grade)i);

        if (strlen(name) == length && memcmp(name, text, length) == 0) {
            *ret_grade = (enum grade)i;
            return true;
        }
    }
    return false;
}

const char *
fault_text(enum fault fault)
{
    static const char *const texts[] = {
        [FAULT_BOUNCE] = "bounces", [FAULT_BLOCK] = "blocks", [FAULT_COMPLAINT] = "complaints"};

    return fault < FAULTS ? texts[fault] : "?";
}
