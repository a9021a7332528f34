/*
 * One sentence that says why something failed, on its way up.
 *
 * The lower level says what and why; the level that knows where adds it once;
 * the top level logs or prints it.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef LIB_ERR_H
#define LIB_ERR_H

struct err {
    char msg[512];
};

/*
 * Put a sentence into err (which may be NULL) and return r, so that failing
 * is one line: return err_set(err, -EINVAL, "pool %s: no addresses", name);
 */
int err_set(struct err *err, int r, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Put "where: " before the sentence in err, and return r. */
int err_add(struct err *err, int r, const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
