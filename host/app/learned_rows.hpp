#pragma once
/// Which rows a model has learned from, so that nobody judges it on rows that it knows.

#include <array>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

#include "host/data/prepared.hpp"

namespace sheaf::app {

/// A set of rows by what they say, not by the codes of one import: a digest of user id, item id, basket and time of
/// each row. A basket is known by its user and its first time. The digest is a sum over the rows, so that the digest of
/// two sets together is the sum of both, and the order of the rows does not count.
struct RowSet {
  int64_t rows = 0;
  std::array<uint64_t, 2> digest{0, 0};
  int64_t first = 0, last = 0;  // times, of a set that is not empty

  bool operator==(const RowSet&) const = default;
  /// 32 hex digits.
  std::string hex() const;
};
RowSet joined(const RowSet& a, const RowSet& b);

/// Those of train, validation and test.
std::array<RowSet, 3> row_sets(const data::Prepared& prepared);

/// For the notes of a model: the rows that it is fitted to, and those by which epochs and chances were chosen.
nlohmann::json learned_rows(const data::Prepared& prepared);

/// What a model is judged on beside the test period.
struct Judged {
  bool validation = false;
};

/// Refuses a model that knows rows on which it would be judged. `learned` is what learned_rows() gave when the model
/// was trained. Empty if the model was trained on the training part of `prepared` (or on that and the validation part).
/// A sentence for people if it was trained on other rows that are all older than what it is judged on. UsageError if it
/// knows, or may know, rows of that; DataError if the model does not say what it learned from.
std::string check_unseen(const nlohmann::json& learned, const data::Prepared& prepared, Judged judged);

/// Whether the model was fitted to rows of the validation part of `prepared`, as far as the model says.
bool knows_validation(const nlohmann::json& learned, const data::Prepared& prepared);

}  // namespace sheaf::app
