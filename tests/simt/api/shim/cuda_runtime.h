#pragma once
/// Stands in for the toolkit's header in SIMT builds.

#include "tests/simt/api/async_copy.hpp"
#include "tests/simt/api/intrinsics.hpp"
#include "tests/simt/api/runtime_api.hpp"
#include "tests/simt/api/tensor_copy.hpp"
#include "tests/simt/api/tensor_core.hpp"
#include "tests/simt/api/warpgroup.hpp"
#include "tests/simt/executor/executor.hpp"
