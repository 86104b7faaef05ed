#include "tests/reference/table.hpp"

namespace sheaf::ref {
namespace {

using embedding::Pooling;

// visit(bag, storage row, weight) for every valid entry; of a maximum only the first that is greatest in the column.
template <class Visit>
void for_each_term(const std::vector<double>& values, int64_t dim, int64_t column, const HostBags& bags,
                   Pooling pooling, const Visit& visit) {
  const int64_t n_tables = static_cast<int64_t>(bags.first_row.size()) - 1;
  for (int64_t b = 0; b < bags.n_bags(); ++b) {
    const auto table = static_cast<size_t>(b / (bags.n_bags() / n_tables));
    const int64_t begin = bags.offsets[static_cast<size_t>(b)], end = bags.offsets[static_cast<size_t>(b) + 1];
    int64_t winner = -1;
    double greatest = 0.0;
    for (int64_t e = begin; e < end; ++e) {
      const int64_t id = bags.ids[static_cast<size_t>(e)];
      if (id < 0 || id >= bags.first_row[table + 1] - bags.first_row[table]) continue;
      const int64_t row = bags.first_row[table] + id;
      const double own = bags.weights.empty() ? 1.0 : static_cast<double>(bags.weights[static_cast<size_t>(e)]);
      if (pooling == Pooling::sum) visit(b, row, own);
      if (pooling == Pooling::mean) visit(b, row, own / static_cast<double>(end - begin));
      const double value = values[static_cast<size_t>(row * dim + column)];
      if (winner < 0 || value > greatest) {
        winner = row;
        greatest = value;
      }
    }
    if (pooling == Pooling::max && winner >= 0) visit(b, winner, 1.0);
  }
}

}  // namespace

Sums table_bag(const std::vector<double>& values, int64_t dim, const HostBags& bags, Pooling pooling) {
  Sums out(bags.n_bags() * dim);
  for (int64_t c = 0; c < dim; ++c) {
    for_each_term(values, dim, c, bags, pooling, [&](int64_t b, int64_t row, double weight) {
      out.add(b * dim + c, weight * values[static_cast<size_t>(row * dim + c)]);
    });
  }
  return out;
}

Sums table_gradient(const std::vector<double>& values, const std::vector<double>& grad, int64_t dim,
                    const HostBags& bags, Pooling pooling) {
  Sums out(static_cast<int64_t>(values.size()));
  for (int64_t c = 0; c < dim; ++c) {
    for_each_term(values, dim, c, bags, pooling, [&](int64_t b, int64_t row, double weight) {
      out.add(row * dim + c, weight * grad[static_cast<size_t>(b * dim + c)]);
    });
  }
  return out;
}

}  // namespace sheaf::ref
