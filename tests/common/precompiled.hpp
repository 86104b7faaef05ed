#pragma once
/// What nearly every test includes, compiled once.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <numeric>
#include <random>
#include <ranges>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "kernels/core/buffer.hpp"
#include "kernels/core/context.hpp"
#include "tests/common/numbers.hpp"
#include "tests/common/op_test.hpp"
