#include "tests/reference/embedding.hpp"

namespace sheaf::ref {
namespace {

double weight(const test::HostCsr& bags, int64_t entry) {
  return bags.values.empty() ? 1.0 : static_cast<double>(bags.values[static_cast<size_t>(entry)]);
}

// visit(n, row, weight) for every entry of every bag that is asked for.
template <class Visit>
void for_each_entry(const test::HostCsr& bags, const std::vector<int32_t>& ids, const Visit& visit) {
  for (size_t n = 0; n < ids.size(); ++n) {
    const auto id = static_cast<size_t>(ids[n]);
    for (int64_t e = bags.row_offsets[id]; e < bags.row_offsets[id + 1]; ++e) {
      visit(static_cast<int64_t>(n), bags.columns[static_cast<size_t>(e)], weight(bags, e));
    }
  }
}

}  // namespace

Sums bag(const std::vector<double>& table, int64_t dim, const test::HostCsr& bags, const std::vector<int32_t>& ids) {
  Sums out(static_cast<int64_t>(ids.size()) * dim);
  for_each_entry(bags, ids, [&](int64_t n, int64_t row, double w) {
    for (int64_t c = 0; c < dim; ++c) out.add(n * dim + c, w * table[static_cast<size_t>(row * dim + c)]);
  });
  return out;
}

Sums bag_backward(const std::vector<double>& grad, int64_t dim, const test::HostCsr& bags,
                  const std::vector<int32_t>& ids) {
  Sums out(bags.n_columns * dim);
  for_each_entry(bags, ids, [&](int64_t n, int64_t row, double w) {
    for (int64_t c = 0; c < dim; ++c) out.add(row * dim + c, w * grad[static_cast<size_t>(n * dim + c)]);
  });
  return out;
}

}  // namespace sheaf::ref
