/* engine_request.h - is a request one that the engine can serve?
 *
 * Its fields, beginning and end are engine.h's. Inside core/engine only. Thread: any (pure). */
#ifndef CORE_ENGINE_ENGINE_REQUEST_H
#define CORE_ENGINE_ENGINE_REQUEST_H

#include <stdbool.h>

#include "core/engine/engine.h"

bool engine_request_check(const struct engine_request *request, const struct engine_info *info,
                          struct err *err);

#endif
