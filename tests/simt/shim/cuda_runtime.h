#pragma once
/// Stands in for the toolkit's header in SIMT builds.

#include "tests/simt/intrinsics.hpp"
#include "tests/simt/runtime_api.hpp"
