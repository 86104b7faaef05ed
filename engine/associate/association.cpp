#include "engine/associate/association.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "kernels/association/cooccurrence.hpp"
#include "kernels/association/cosine_topk.hpp"
#include "kernels/association/count_topk.hpp"
#include "kernels/core/error.hpp"
#include "kernels/core/interrupt.hpp"
#include "kernels/core/memory.hpp"

namespace sheaf {
namespace {

using association::Measure;

constexpr std::array<std::pair<Measure, const char*>, 7> kMeasures{{{Measure::support, "support"},
                                                                    {Measure::confidence, "confidence"},
                                                                    {Measure::lift, "lift"},
                                                                    {Measure::leverage, "leverage"},
                                                                    {Measure::conviction, "conviction"},
                                                                    {Measure::jaccard, "jaccard"},
                                                                    {Measure::cosine, "count-cosine"}}};
constexpr int64_t kMaxPartners = 256;

int64_t list_length(int64_t k, int64_t n_items) {
  return std::clamp<int64_t>(k, 1, std::clamp<int64_t>(n_items - 1, 1, kMaxPartners));
}

/// Partners while they are on the device.
class PartnerLists {
 public:
  PartnerLists(Context& context, int64_t k, int64_t n_items)
      : n_items_(n_items),
        k_(list_length(k, n_items)),
        items_(context, n_items_ * k_),
        scores_(context, n_items_ * k_) {}
  MatrixView<int32_t> items() { return items_.matrix(n_items_, k_); }
  MatrixView<float> scores() { return scores_.matrix(n_items_, k_); }
  Partners to_host() const {
    Partners partners;
    partners.n_items = n_items_;
    partners.k = k_;
    partners.items = items_.to_host();
    partners.scores = scores_.to_host();
    return partners;
  }

 private:
  int64_t n_items_, k_;
  Buffer<int32_t> items_;
  Buffer<float> scores_;
};

/// Counts the pairs of a block of items at a time.
class PairCounter {
 public:
  PairCounter(Context& context, HostCsr baskets, int64_t min_count)
      : context_(context),
        n_baskets_(baskets.n_rows()),
        n_items_(baskets.n_columns),
        min_count_(static_cast<int32_t>(min_count)) {
    baskets.values.clear();
    const HostCsr by_item = transpose(baskets);
    item_offsets_ = by_item.row_offsets;
    baskets_ = DeviceCsr(context, baskets);
    items_ = DeviceCsr(context, by_item);
    Buffer<int64_t> row_offsets(context, n_items_ + 1);
    association::cooccurrence_sizes(context, {baskets_.view(), items_.view(), min_count_}, row_offsets.view());
    row_offsets_ = row_offsets.to_host();
  }

  int64_t n_pairs() const { return row_offsets_.back(); }

  /// No pairs, but the counts of the single items.
  PairCounts without_pairs() const {
    PairCounts counts;
    counts.n_baskets = n_baskets_;
    for (size_t i = 0; i + 1 < item_offsets_.size(); ++i) {
      counts.item_counts.push_back(static_cast<int32_t>(item_offsets_[i + 1] - item_offsets_[i]));
    }
    return counts;
  }

  /// visit(first, last, counts) for blocks of items in order; the rows first .. last - 1 of the counts are theirs, the
  /// others are empty.
  template <class Visit>
  void for_each_block(int64_t block_pairs, Visit&& visit) const {
    PairCounts block = without_pairs();
    for (int64_t first = 0, last = 0; first < n_items_; first = last) {
      check_interrupt("association");
      const int64_t begin = offset(row_offsets_, first);
      while (last < n_items_ && (last == first || offset(row_offsets_, last + 1) - begin <= block_pairs)) ++last;
      block.row_offsets = only_rows(row_offsets_, first, last, begin);
      const Buffer<int64_t> offsets(context_, block.row_offsets),
          items(context_, only_rows(item_offsets_, first, last));
      CsrView item_baskets = items_.view();
      item_baskets.row_offsets = items.data();
      const int64_t n = block.row_offsets.back();
      Buffer<int32_t> companions(context_, n), counts(context_, n);
      association::cooccurrence(context_, {baskets_.view(), item_baskets, min_count_}, offsets.view(),
                                companions.view(), counts.view());
      block.companions = companions.to_host();
      block.counts = counts.to_host();
      visit(first, last, std::as_const(block));
    }
  }

 private:
  static int64_t offset(const std::vector<int64_t>& offsets, int64_t row) { return offsets[static_cast<size_t>(row)]; }
  /// Offsets, less `minus`, by which the other rows are empty.
  static std::vector<int64_t> only_rows(std::vector<int64_t> offsets, int64_t first, int64_t last, int64_t minus = 0) {
    const int64_t begin = offset(offsets, first), end = offset(offsets, last);
    for (int64_t& at : offsets) at = std::clamp(at, begin, end) - minus;
    return offsets;
  }

  Context& context_;
  int64_t n_baskets_, n_items_;
  int32_t min_count_;
  DeviceCsr baskets_, items_;
  std::vector<int64_t> item_offsets_, row_offsets_;  // [n_items + 1] of items' baskets, of items' companions
};

/// Pairs with their counts; in the result each is there both ways.
class ListedCounts {
 public:
  void add(int32_t i, int32_t j, int64_t count) {
    if (count == 0) return;
    for (const auto& [row, column] : {std::pair(i, j), std::pair(j, i)}) {
      rows_.push_back(row);
      columns_.push_back(column);
      counts_.push_back(static_cast<int32_t>(count));
    }
  }
  void move_to(PairCounts& counts) {
    const auto n_items = std::ssize(counts.item_counts);
    const HostCsr pattern = csr_from_pairs(rows_, columns_, {}, n_items, n_items);
    counts.row_offsets = pattern.row_offsets;
    counts.companions = pattern.columns;
    counts.counts.resize(counts.companions.size());
    for (size_t e = 0; e < rows_.size(); ++e) counts.counts[counts.place(rows_[e], columns_[e])] = counts_[e];
  }

 private:
  std::vector<int32_t> rows_, columns_, counts_;
};

}  // namespace

size_t PairCounts::place(int32_t i, int32_t j) const {
  const auto begin = companions.begin() + row_offsets[static_cast<size_t>(i)];
  const auto end = companions.begin() + row_offsets[static_cast<size_t>(i) + 1];
  const auto found = std::lower_bound(begin, end, j);
  return found != end && *found == j ? static_cast<size_t>(found - companions.begin()) : companions.size();
}

int64_t PairCounts::count(int32_t i, int32_t j) const {
  const size_t at = place(i, j);
  return at < counts.size() ? counts[at] : 0;
}

PairCounts count_pairs(Context& context, const HostCsr& baskets, int64_t min_count, const std::string& hint,
                       int64_t block_pairs) {
  constexpr int64_t kBytes = 16;  // of a pair and its count, here and in a copy to work on
  const PairCounter counter(context, baskets, min_count);
  require_memory(fmt::format("the counts of {} pairs of items that are together in {} or more baskets need",
                             counter.n_pairs() / 2, min_count),
                 counter.n_pairs() * kBytes,
                 hint.empty() ? "import fewer items (clean.min_item_users), or use a machine with more memory" : hint);
  PairCounts all = counter.without_pairs();
  all.companions.reserve(static_cast<size_t>(counter.n_pairs()));
  all.counts.reserve(static_cast<size_t>(counter.n_pairs()));
  counter.for_each_block(block_pairs, [&](int64_t first, int64_t last, const PairCounts& block) {
    const int64_t before = all.row_offsets.back();
    for (int64_t i = first; i < last; ++i) {
      all.row_offsets.push_back(before + block.row_offsets[static_cast<size_t>(i) + 1]);
    }
    all.companions.insert(all.companions.end(), block.companions.begin(), block.companions.end());
    all.counts.insert(all.counts.end(), block.counts.begin(), block.counts.end());
  });
  return all;
}

CountedPartners counted_partners(Context& context, const HostCsr& baskets, int64_t min_count, Measure measure,
                                 int64_t k, float min_score, const PairRule& rule, int64_t block_pairs) {
  const PairCounter counter(context, baskets, min_count);
  CountedPartners found{
      {.n_items = baskets.n_columns, .k = list_length(k, baskets.n_columns), .items = {}, .scores = {}},
      counter.without_pairs()};
  ListedCounts listed;
  counter.for_each_block(block_pairs, [&](int64_t first, int64_t last, const PairCounts& block) {
    const Partners lists = rule.allows_all()
                               ? counted_partners(context, block, measure, k, min_score)
                               : counted_partners(context, allowed_pairs(block, rule), measure, k, min_score);
    for (int64_t at = first * lists.k; at < last * lists.k; ++at) {
      const int32_t partner = lists.items[static_cast<size_t>(at)];
      found.partners.items.push_back(partner);
      found.partners.scores.push_back(lists.scores[static_cast<size_t>(at)]);
      const auto item = static_cast<int32_t>(at / lists.k);
      if (partner >= 0) listed.add(item, partner, block.count(item, partner));
    }
  });
  listed.move_to(found.counts);
  return found;
}

PairCounts count_listed(Context& context, const HostCsr& baskets, const HostCsr& lists, int64_t block_pairs) {
  const PairCounter counter(context, baskets, 1);
  PairCounts counts = counter.without_pairs();
  ListedCounts listed;
  counter.for_each_block(block_pairs, [&](int64_t first, int64_t last, const PairCounts& block) {
    for (auto i = static_cast<int32_t>(first); i < last; ++i) {
      for (const int32_t j : lists.row(i)) listed.add(i, j, block.count(i, j));
    }
  });
  listed.move_to(counts);
  return counts;
}

HostCsr Partners::to_csr() const {
  HostCsr csr;
  csr.n_columns = n_items;
  std::vector<std::pair<int32_t, float>> row;
  for (int64_t i = 0; i < n_items; ++i) {
    row.clear();
    for (int64_t r = 0; r < k; ++r) {
      const auto at = static_cast<size_t>(i * k + r);
      if (items[at] >= 0) row.emplace_back(items[at], scores[at]);
    }
    std::ranges::sort(row);
    for (const auto& [item, score] : row) {
      csr.columns.push_back(item);
      csr.values.push_back(score);
    }
    csr.row_offsets.push_back(csr.nnz());
  }
  return csr;
}

Partners cosine_partners(Context& context, MatrixView<const float> vectors, int64_t k, float scale, float min_score,
                         const PairRule& rule) {
  PartnerLists lists(context, k, vectors.rows);
  const Buffer<int32_t> category(context, rule.category);
  const Buffer<uint8_t> allowed(context, rule.allowed);
  const DeviceCsr excluded(context, rule.excluded);
  association::cosine_topk(context, {.vectors = vectors,
                                     .scale = scale,
                                     .min_score = min_score,
                                     .neighbours = lists.items(),
                                     .scores = lists.scores(),
                                     .rule = rule.kind,
                                     .item_categories = category.view(),
                                     .category_pairs = allowed.matrix(rule.n_categories, rule.n_categories),
                                     .exclude = excluded.view()});
  return lists.to_host();
}

Partners cosine_partners_in_pieces(Context& context, std::span<const float> vectors, int64_t dim, int64_t k,
                                   float scale, float min_score, int64_t device_bytes, const PairRule& rule) {
  constexpr int64_t kFewest = 64;
  Partners partners;
  partners.n_items = static_cast<int64_t>(vectors.size()) / dim;
  partners.k = list_length(k, partners.n_items);
  partners.items.resize(static_cast<size_t>(partners.n_items * partners.k));
  partners.scores.resize(partners.items.size());
  // The op keeps unit vectors in float and in 16 bits beside the floats it is given, and candidates of each row.
  const int64_t vector_bytes = dim * 10, row_bytes = vector_bytes + partners.k * 8 + 4096;
  const int64_t n_rows = std::max(kFewest, device_bytes / 2 / row_bytes);
  const int64_t n_columns = std::max(kFewest, device_bytes / 2 / vector_bytes);
  const auto piece_of = [&](int64_t first, int64_t count) {
    return Buffer<float>(context, vectors.subspan(static_cast<size_t>(first * dim), static_cast<size_t>(count * dim)));
  };
  const auto categories_of = [&](int64_t first, int64_t count) {
    if (rule.category.empty()) return Buffer<int32_t>();
    return Buffer<int32_t>(context,
                           std::span(rule.category).subspan(static_cast<size_t>(first), static_cast<size_t>(count)));
  };
  const Buffer<uint8_t> allowed(context, rule.allowed);
  for (int64_t row = 0; row < partners.n_items; row += n_rows) {
    const int64_t rows = std::min(n_rows, partners.n_items - row);
    const Buffer<float> queries = piece_of(row, rows);
    const Buffer<int32_t> query_category = categories_of(row, rows);
    const DeviceCsr excluded(context, row_block(rule.excluded, row, rows));
    Buffer<int32_t> items(context, rows * partners.k);
    Buffer<float> scores(context, rows * partners.k);
    for (int64_t column = 0; column < partners.n_items; column += n_columns) {
      const int64_t columns = std::min(n_columns, partners.n_items - column);
      const Buffer<float> piece = piece_of(column, columns);
      const Buffer<int32_t> category = categories_of(column, columns);
      association::cosine_topk(context, {.vectors = piece.matrix(columns, dim),
                                         .scale = scale,
                                         .min_score = min_score,
                                         .neighbours = items.matrix(rows, partners.k),
                                         .scores = scores.matrix(rows, partners.k),
                                         .queries = queries.matrix(rows, dim),
                                         .rule = rule.kind,
                                         .item_categories = category.view(),
                                         .query_categories = query_category.view(),
                                         .category_pairs = allowed.matrix(rule.n_categories, rule.n_categories),
                                         .exclude = excluded.view(),
                                         .first_item = column,
                                         .first_query = row,
                                         .merge = column > 0});
      context.synchronize();
    }
    context.copy_to_host(partners.items.data() + row * partners.k, items.data(),
                         static_cast<size_t>(items.size()) * sizeof(int32_t));
    context.copy_to_host(partners.scores.data() + row * partners.k, scores.data(),
                         static_cast<size_t>(scores.size()) * sizeof(float));
  }
  return partners;
}

Partners counted_partners(Context& context, const PairCounts& counts, Measure measure, int64_t k, float min_score) {
  PartnerLists lists(context, k, static_cast<int64_t>(counts.item_counts.size()));
  const Buffer<int64_t> row_offsets(context, counts.row_offsets);
  const Buffer<int32_t> companions(context, counts.companions), pair_counts(context, counts.counts),
      item_counts(context, counts.item_counts);
  association::count_topk(context, {.row_offsets = row_offsets.view(),
                                    .companions = companions.view(),
                                    .counts = pair_counts.view(),
                                    .item_counts = item_counts.view(),
                                    .n_baskets = counts.n_baskets,
                                    .measure = measure,
                                    .min_score = min_score,
                                    .neighbours = lists.items(),
                                    .scores = lists.scores()});
  return lists.to_host();
}

void check_finite_rows(Context& context, MatrixView<const float> vectors,
                       const std::function<std::string(int64_t)>& name_of) {
  constexpr int64_t kRowsAtOnce = 4096;
  std::vector<float> block;
  for (int64_t first = 0; first < vectors.rows; first += kRowsAtOnce) {
    const auto rows = vectors.row_block(first, std::min(kRowsAtOnce, vectors.rows - first));
    block.resize(static_cast<size_t>(rows.size()));
    if (rows.empty()) return;
    context.copy_to_host(block.data(), rows.data, block.size() * sizeof(float));
    const auto bad = std::ranges::find_if(block, [](float x) { return !std::isfinite(x); });
    if (bad == block.end()) continue;
    const int64_t at = bad - block.begin();
    throw DataError("the vector of " + name_of(first + at / vectors.cols) + " is not finite: value " +
                        std::to_string(at % vectors.cols) + " is " + std::to_string(*bad),
                    "train the model again, with a smaller model.learning_rate if that repeats it");
  }
}

HostCsr symmetrised(const HostCsr& lists) {
  const HostCsr turned = transpose(lists);
  HostCsr both;
  both.n_columns = lists.n_columns;
  for (int64_t i = 0; i < lists.n_rows(); ++i) {
    const auto begin = [i](const HostCsr& m) { return static_cast<size_t>(m.row_offsets[static_cast<size_t>(i)]); };
    const auto end = [i](const HostCsr& m) { return static_cast<size_t>(m.row_offsets[static_cast<size_t>(i) + 1]); };
    size_t a = begin(lists), b = begin(turned);
    while (a < end(lists) || b < end(turned)) {
      const bool own = a < end(lists) && (b == end(turned) || lists.columns[a] <= turned.columns[b]);
      const bool other = b < end(turned) && (!own || turned.columns[b] == lists.columns[a]);
      both.columns.push_back(own ? lists.columns[a] : turned.columns[b]);
      both.values.push_back(own && other ? std::max(lists.values[a], turned.values[b])
                                         : (own ? lists.values[a] : turned.values[b]));
      a += own ? 1 : 0;
      b += other ? 1 : 0;
    }
    both.row_offsets.push_back(both.nnz());
  }
  return both;
}

bool PairRule::allows(int32_t i, int32_t j) const {
  if (excluded.n_rows() > 0 && excluded.contains(i, j)) return false;
  if (kind == Kind::any) return true;
  const int32_t a = category[static_cast<size_t>(i)], b = category[static_cast<size_t>(j)];
  if (a < 0 || b < 0) return false;
  if (kind == Kind::table) return allowed[static_cast<size_t>(a * n_categories + b)] != 0;
  return (a == b) == (kind == Kind::same);
}

PairCounts allowed_pairs(const PairCounts& counts, const PairRule& rule) {
  PairCounts kept;
  kept.n_baskets = counts.n_baskets;
  kept.item_counts = counts.item_counts;
  for (size_t i = 0; i + 1 < counts.row_offsets.size(); ++i) {
    for (auto e = static_cast<size_t>(counts.row_offsets[i]); e < static_cast<size_t>(counts.row_offsets[i + 1]); ++e) {
      if (!rule.allows(static_cast<int32_t>(i), counts.companions[e])) continue;
      kept.companions.push_back(counts.companions[e]);
      kept.counts.push_back(counts.counts[e]);
    }
    kept.row_offsets.push_back(static_cast<int64_t>(kept.companions.size()));
  }
  return kept;
}

const char* to_string(Measure measure) {
  for (const auto& [value, name] : kMeasures) {
    if (value == measure) return name;
  }
  return "?";
}

Measure parse_measure(const std::string& text) {
  for (const auto& [value, name] : kMeasures) {
    if (text == name) return value;
  }
  throw UsageError("unknown measure '" + text + "'",
                   "use support, confidence, lift, leverage, conviction, jaccard or count-cosine");
}

}  // namespace sheaf
