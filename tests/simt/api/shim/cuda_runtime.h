#pragma once
/// Stands in for the toolkit's header in SIMT builds.

#include "tests/simt/api/intrinsics.hpp"
#include "tests/simt/api/runtime_api.hpp"
