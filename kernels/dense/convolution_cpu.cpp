#include <algorithm>

#include "kernels/core/blas_cpu.hpp"
#include "kernels/core/parallel.hpp"
#include "kernels/dense/convolution.hpp"
#include "kernels/dense/convolution_pool.hpp"

namespace sheaf::dense::cpu {
namespace {

constexpr int64_t kConvolutionRows = 64;  // a piece of work whose inputs and outputs stay in L2

// Row r's maxima over the positions; `hidden` becomes h.
void max_row(const ConvolutionShape& shape, float* hidden, float* out, int32_t* winner) {
  for (int64_t f = 0; f < shape.n_filters; ++f) {
    hidden[f] = out[f] = relu_of(hidden[f]);
    winner[f] = 0;
  }
  for (int64_t j = 1; j < shape.positions; ++j) {
    hidden += shape.n_filters;
    const auto position = static_cast<int32_t>(j);
#pragma omp simd
    for (int64_t f = 0; f < shape.n_filters; ++f) {
      const float value = relu_of(hidden[f]);
      const bool larger = is_larger(value, out[f]);
      hidden[f] = value;
      out[f] = larger ? value : out[f];
      winner[f] = larger ? position : winner[f];
    }
  }
}

void mean_row(const ConvolutionShape& shape, float* hidden, float* out) {
  std::fill_n(out, shape.n_filters, 0.0f);
  for (int64_t j = 0; j < shape.positions; ++j, hidden += shape.n_filters) {
#pragma omp simd
    for (int64_t f = 0; f < shape.n_filters; ++f) {
      hidden[f] = relu_of(hidden[f]);
      out[f] += hidden[f];
    }
  }
  const auto count = static_cast<float>(shape.positions);
  for (int64_t f = 0; f < shape.n_filters; ++f) out[f] /= count;
}

// Row r's h becomes its D; `winner` is null for mean.
void gradient_row(const ConvolutionShape& shape, const float* d_out, const int32_t* winner, float* hidden) {
  const auto count = static_cast<float>(shape.positions);
  for (int64_t j = 0; j < shape.positions; ++j, hidden += shape.n_filters) {
    const auto position = static_cast<int32_t>(j);
    if (winner) {
#pragma omp simd
      for (int64_t f = 0; f < shape.n_filters; ++f)
        hidden[f] = hidden_gradient(hidden[f], winner[f] == position ? d_out[f] : 0.0f);
    } else {
#pragma omp simd
      for (int64_t f = 0; f < shape.n_filters; ++f) hidden[f] = hidden_gradient(hidden[f], d_out[f] / count);
    }
  }
}

}  // namespace

void convolution(Context& context, const ConvolutionArgs& args) {
  sheaf::cpu::reserve_gemm(context);
  const ConvolutionShape s = shape_of(args);
  parallel_for(context, s.n, kConvolutionRows, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      for (int64_t j = 0; j < s.positions; ++j)
        std::copy_n(args.bias.data, s.n_filters, args.hidden.row(r) + j * s.n_filters);
    }
    // What a filter covers at one position is a piece of the row: no copies of neighbours are made.
    for (int64_t j = 0; j < s.positions; ++j) {
      sheaf::cpu::gemm({end - begin, s.n_filters, s.span, args.x.row(begin) + j * s.channels, s.row, false,
                        args.filters.data, s.span, true, 1.0f, args.hidden.row(begin) + j * s.n_filters,
                        s.hidden_row()});
    }
    for (int64_t r = begin; r < end; ++r) {
      float* out = args.out.row(r) + args.first_column;
      if (args.pooling == ConvolutionPooling::max) {
        max_row(s, args.hidden.row(r), out, args.winner.row(r));
      } else {
        mean_row(s, args.hidden.row(r), out);
      }
    }
  });
}

void convolution_backward(Context& context, const ConvolutionBackwardArgs& args) {
  sheaf::cpu::reserve_gemm(context);
  const ConvolutionShape s = shape_of(args);
  const bool by_winner = args.pooling == ConvolutionPooling::max;
  parallel_for(context, s.n, kConvolutionRows, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      gradient_row(s, args.d_out.row(r) + args.first_column, by_winner ? args.winner.row(r) : nullptr,
                   args.hidden.row(r));
    }
    if (!args.add_to_d_x) std::fill_n(args.d_x.row(begin), (end - begin) * s.row, 0.0f);
    for (int64_t j = 0; j < s.positions; ++j) {
      sheaf::cpu::gemm({end - begin, s.span, s.n_filters, args.hidden.row(begin) + j * s.n_filters, s.hidden_row(),
                        false, args.filters.data, s.span, false, 1.0f, args.d_x.row(begin) + j * s.channels, s.row});
    }
  });
  const int64_t size = args.filters.size();
  ScratchScope scratch(context);
  float* products = scratch.take<float>(s.positions * size);
  float* sums = scratch.take<float>(s.positions * s.n_filters);
  for (int64_t j = 0; j < s.positions; ++j) {
    sheaf::cpu::row_products(context, {.m = s.n_filters,
                                       .n = s.span,
                                       .k = s.n,
                                       .a = args.hidden.data + j * s.n_filters,
                                       .b = args.x.data + j * s.channels,
                                       .out = products + j * size,
                                       .sums = sums + j * s.n_filters,
                                       .piece = kConvolutionPiece,
                                       .lda = s.hidden_row(),
                                       .ldb = s.row});
  }
  const auto add = [&](const float* of_position, int64_t count, float* total) {
    std::copy_n(of_position, count, total);
    for (int64_t j = 1; j < s.positions; ++j) {
      for (int64_t i = 0; i < count; ++i) total[i] += of_position[j * count + i];
    }
  };
  add(products, size, args.d_filters.data);
  add(sums, s.n_filters, args.d_bias.data);
}

}  // namespace sheaf::dense::cpu
