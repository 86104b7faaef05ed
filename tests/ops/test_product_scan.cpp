#include <bit>
#include <cmath>
#include <limits>
#include <vector>

#include "gtest/gtest.h"
#include "kernels/core/product_scan.hpp"
#include "tests/common/op_test.hpp"

namespace sheaf {
namespace {

const ScanKernel* byte_kernel() {
  const ScanKernel* kernels[kMostScanKernels];
  const int32_t n = usable_scan_kernels(kernels, kMostScanKernels, /*may_be_bytes=*/true);
  for (int32_t i = 0; i < n; ++i) {
    if (kernels[i]->pack_bytes) return kernels[i];
  }
  return nullptr;
}

void write_trailer(std::vector<uint32_t>& panel, const ScanKernel& kernel, int64_t dim, int unit, int64_t j,
                   float value) {
  const int64_t at = (kernel.n_units(dim) - ByteTrailer::kUnits + unit) * kernel.width + j;
  panel[static_cast<size_t>(at)] = std::bit_cast<uint32_t>(value);
}

// Every part of the bound of every pair, and that pairs below their row's threshold are no hits.
TEST(ProductScan, BytesGiveTheBoundOfEveryPair) {
  const ScanKernel* kernel = byte_kernel();
  if (kernel == nullptr) GTEST_SKIP() << "this machine has no products of bytes";
  const int64_t width = kernel->width;
  const auto count = static_cast<size_t>(width);
  for (const int64_t dim : {1, 3, 4, 5, 16, 17, 63, 64, 200}) {
    for (const float low : {-1.0f, 0.25f, -4.0f}) {  // of both signs, all positive, mostly negative
      const std::vector<float> rows = test::random_floats(width * dim, 1, low, 1.0f),
                               columns = test::random_floats(width * dim, 2, -1.0f, -low);
      const std::vector<float> of_rows = test::random_floats(3 * width, 3, 0.5f, 2.0f),
                               addends = test::random_floats(width, 4);
      std::vector<uint32_t> row_panel(static_cast<size_t>(kernel->n_units(dim) * width)), column_panel = row_panel;
      std::vector<float> row_scales(count), lost(count), column_lost(count);
      const float column_scale = 4.0f / 127.0f;
      for (size_t j = 0; j < count; ++j) row_scales[j] = (4.0f + of_rows[j]) / 127.0f;
      kernel->pack_bytes(rows.data(), dim, row_scales.data(), true, row_panel.data(), lost.data());
      kernel->pack_bytes(columns.data(), dim, std::vector<float>(count, column_scale).data(), false,
                         column_panel.data(), column_lost.data());
      for (int64_t j = 0; j < width; ++j) {
        const auto at = static_cast<size_t>(j);
        write_trailer(row_panel, *kernel, dim, ByteTrailer::kScale, j, row_scales[at]);
        write_trailer(row_panel, *kernel, dim, ByteTrailer::kResidual, j, of_rows[count + at]);
        write_trailer(row_panel, *kernel, dim, ByteTrailer::kLength, j, of_rows[2 * count + at]);
        write_trailer(column_panel, *kernel, dim, ByteTrailer::kAddend, j, addends[at]);
      }
      const float longest = 0.7f, spread = 0.3f;
      write_trailer(column_panel, *kernel, dim, ByteTrailer::kOfPanel, ByteTrailer::kPanelScale, column_scale);
      write_trailer(column_panel, *kernel, dim, ByteTrailer::kOfPanel, ByteTrailer::kLongest, longest);
      write_trailer(column_panel, *kernel, dim, ByteTrailer::kOfPanel, ByteTrailer::kSpread, spread);

      std::vector<double> bounds(count * count);
      const auto step = [](float value, float scale) { return std::nearbyint(value * (1.0f / scale)); };
      for (size_t r = 0; r < count; ++r) {
        for (size_t c = 0; c < count; ++c) {
          double sum = 0;
          for (size_t d = 0; d < static_cast<size_t>(dim); ++d) {
            sum += step(rows[r * static_cast<size_t>(dim) + d], row_scales[r]) *
                   step(columns[c * static_cast<size_t>(dim) + d], column_scale);
          }
          bounds[r * count + c] = static_cast<double>(row_scales[r]) * static_cast<double>(column_scale) * sum +
                                  static_cast<double>(addends[c]) + static_cast<double>(of_rows[count + r] * longest) +
                                  static_cast<double>(of_rows[2 * count + r] * spread);
        }
        double squares = 0;
        for (size_t d = 0; d < static_cast<size_t>(dim); ++d) {
          const float value = rows[r * static_cast<size_t>(dim) + d];
          squares += std::pow(static_cast<double>(value) -
                                  static_cast<double>(row_scales[r]) * static_cast<double>(step(value, row_scales[r])),
                              2);
        }
        // Each rest is rounded once, relative to itself, and their squares are summed in float.
        EXPECT_NEAR(lost[r], squares, (static_cast<double>(dim) + 8) * 0x1.0p-23 * squares + 1e-12);
      }
      const double rounding = 8 * 0x1.0p-24 * (static_cast<double>(dim) * 16 + 8);
      std::vector<float> thresholds(count);
      for (size_t r = 0; r < count; ++r) thresholds[r] = static_cast<float>(bounds[r * count + r]);
      const std::vector<float> infinite(count, std::numeric_limits<float>::infinity());
      std::vector<ProductHit> hits(static_cast<size_t>(kernel->rows * width));
      std::vector<char> is_hit(count * count);
      for (int32_t first = 0; first < width; first += kernel->rows) {
        const int32_t n = kernel->scan(row_panel.data(), first, column_panel.data(), kernel->n_units(dim),
                                       thresholds.data(), infinite.data(), hits.data());
        for (int32_t h = 0; h < n; ++h) {
          const size_t at = static_cast<size_t>(hits[static_cast<size_t>(h)].row) * count +
                            static_cast<size_t>(hits[static_cast<size_t>(h)].column);
          is_hit[at] = 1;
          ASSERT_NEAR(hits[static_cast<size_t>(h)].product, bounds[at], rounding) << "dim " << dim;
        }
      }
      for (size_t r = 0; r < count; ++r) {
        for (size_t c = 0; c < count; ++c) {
          const double above = bounds[r * count + c] - static_cast<double>(thresholds[r]);
          if (std::abs(above) > rounding) {
            ASSERT_EQ(is_hit[r * count + c] != 0, above > 0) << "dim " << dim << ", " << r << ", " << c;
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace sheaf
