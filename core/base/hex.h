/* hex.h - hexadecimal digits. Pure. Thread: any. */
#ifndef CORE_BASE_HEX_H
#define CORE_BASE_HEX_H

/* 0 .. 15; -1 for any other character. */
static inline int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

#endif
