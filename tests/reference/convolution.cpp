#include "tests/reference/convolution.hpp"

namespace sheaf::ref {
namespace {

/// f(r, j, o) for each row, position and filter.
template <class F>
void for_each_hidden(const ConvolutionShape& s, F&& f) {
  for (int64_t r = 0; r < s.n; ++r) {
    for (int64_t j = 0; j < s.positions(); ++j) {
      for (int64_t o = 0; o < s.n_filters; ++o) f(r, j, o);
    }
  }
}

size_t hidden_at(const ConvolutionShape& s, int64_t r, int64_t j, int64_t o) {
  return static_cast<size_t>((r * s.positions() + j) * s.n_filters + o);
}

/// f(place in x, place in filters) for each term of an output.
template <class F>
void for_each_product(const ConvolutionShape& s, int64_t r, int64_t j, int64_t o, F&& f) {
  for (int64_t k = 0; k < s.width; ++k) {
    for (int64_t c = 0; c < s.channels; ++c) {
      f((r * s.length + j + k) * s.channels + c, (o * s.width + k) * s.channels + c);
    }
  }
}

}  // namespace

Sums convolution(const ConvolutionShape& s, const std::vector<double>& x, const std::vector<double>& filters,
                 const std::vector<double>& bias) {
  Sums out(s.n * s.positions() * s.n_filters);
  for_each_hidden(s, [&](int64_t r, int64_t j, int64_t o) {
    const auto at = static_cast<int64_t>(hidden_at(s, r, j, o));
    out.add(at, bias[static_cast<size_t>(o)]);
    for_each_product(s, r, j, o, [&](int64_t in, int64_t weight) {
      out.add(at, x[static_cast<size_t>(in)] * filters[static_cast<size_t>(weight)]);
    });
  });
  return out;
}

Pooled pooled(const ConvolutionShape& s, dense::ConvolutionPooling pooling, const std::vector<double>& hidden) {
  const auto size = static_cast<size_t>(s.n * s.n_filters);
  Pooled out{std::vector<double>(size, 0.0), std::vector<double>(size, 0.0), std::vector<int32_t>(size, 0)};
  for_each_hidden(s, [&](int64_t r, int64_t j, int64_t o) {
    const auto at = static_cast<size_t>(r * s.n_filters + o);
    const double value = hidden[hidden_at(s, r, j, o)];
    if (pooling == dense::ConvolutionPooling::mean) {
      out.value[at] += value / static_cast<double>(s.positions());
      out.magnitude[at] += std::abs(value) / static_cast<double>(s.positions());
    } else if (j == 0 || value > out.value[at]) {
      out.value[at] = value;
      out.winner[at] = static_cast<int32_t>(j);
    }
  });
  return out;
}

std::vector<double> pooled_backward(const ConvolutionShape& s, dense::ConvolutionPooling pooling,
                                    const std::vector<double>& hidden, const std::vector<double>& d_out) {
  std::vector<double> d(hidden.size(), 0.0);
  const Pooled forward = pooled(s, pooling, hidden);
  for_each_hidden(s, [&](int64_t r, int64_t j, int64_t o) {
    const auto pool = static_cast<size_t>(r * s.n_filters + o);
    const size_t at = hidden_at(s, r, j, o);
    if (!(hidden[at] > 0.0)) return;
    if (pooling == dense::ConvolutionPooling::mean) {
      d[at] = static_cast<double>(static_cast<float>(d_out[pool] / static_cast<double>(s.positions())));
    } else if (forward.winner[pool] == j) {
      d[at] = d_out[pool];
    }
  });
  return d;
}

ConvolutionGradients convolution_backward(const ConvolutionShape& s, const std::vector<double>& x,
                                          const std::vector<double>& filters, const std::vector<double>& d) {
  ConvolutionGradients g{Sums(s.n * s.length * s.channels), Sums(s.n_filters * s.width * s.channels),
                         Sums(s.n_filters)};
  for_each_hidden(s, [&](int64_t r, int64_t j, int64_t o) {
    const double grad = d[hidden_at(s, r, j, o)];
    g.bias.add(o, grad);
    for_each_product(s, r, j, o, [&](int64_t in, int64_t weight) {
      g.x.add(in, grad * filters[static_cast<size_t>(weight)]);
      g.filters.add(weight, grad * x[static_cast<size_t>(in)]);
    });
  });
  return g;
}

}  // namespace sheaf::ref
