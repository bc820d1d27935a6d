#include "core/session/session_mode.h"

#include <string.h>

static const char *const names[] = {
    [SESSION_MODE_STREAMING] = "streaming",
    [SESSION_MODE_WINDOW] = "window",
    [SESSION_MODE_RECOMPUTE] = "recompute",
    [SESSION_MODE_DENSE] = "dense",
};

bool session_mode_parse(const char *name, enum session_mode *out)
{
    for (int i = 0; i < 4; i++) {
        if (strcmp(name, names[i]) == 0) {
            *out = (enum session_mode)i;
            return true;
        }
    }
    return false;
}

const char *session_mode_name(enum session_mode mode)
{
    return names[mode];
}
