#include "host/app/learned_rows.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <string_view>
#include <vector>

#include "host/data/timestamp.hpp"
#include "kernels/core/error.hpp"

namespace sheaf::app {
namespace {

/// The last steps of MurmurHash3 (Appleby): every bit of the input moves every bit of the output.
uint64_t mix(uint64_t x) {
  x = (x ^ (x >> 33)) * 0xff51afd7ed558ccdu;
  x = (x ^ (x >> 33)) * 0xc4ceb9fe1a85ec53u;
  return x ^ (x >> 33);
}

std::vector<uint64_t> hashes_of(const data::StringTable& ids) {
  std::vector<uint64_t> hashes;
  for (int64_t i = 0; i < ids.size(); ++i) {
    uint64_t hash = 0xcbf29ce484222325u;  // FNV-1a
    for (const char c : ids[i]) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
    hashes.push_back(mix(hash));
  }
  return hashes;
}

nlohmann::json to_json(const RowSet& set) {
  nlohmann::json json{{"rows", set.rows}, {"digest", set.hex()}};
  if (set.rows > 0) {
    json["first_timestamp"] = set.first;
    json["last_timestamp"] = set.last;
  }
  return json;
}

[[noreturn]] void bad_notes() {
  throw DataError("the manifest of the model does not say which rows it learned from, as those of earlier versions",
                  "train the model again: it may know the period that it would be judged on");
}

RowSet from_json(const nlohmann::json& json) {
  try {
    RowSet set;
    set.rows = json.at("rows").get<int64_t>();
    const auto hex = json.at("digest").get<std::string>();
    if (set.rows < 0 || hex.size() != 32) bad_notes();
    for (size_t half = 0; half < 2; ++half) {
      const char* const from = hex.data() + 16 * half;
      const auto [end, error] = std::from_chars(from, from + 16, set.digest[half], 16);
      if (error != std::errc() || end != from + 16) bad_notes();
    }
    if (set.rows > 0) {
      set.first = json.at("first_timestamp").get<int64_t>();
      set.last = json.at("last_timestamp").get<int64_t>();
    }
    return set;
  } catch (const nlohmann::json::exception&) {
    bad_notes();
  }
}

RowSet part_of(const nlohmann::json& learned, const char* part) {
  if (!learned.is_object() || !learned.contains(part)) bad_notes();
  return from_json(learned.at(part));
}

std::string described(const RowSet& set) {
  if (set.rows == 0) return "no rows";
  return fmt::format("{} rows from {} to {}, digest {}", set.rows, data::time_text(set.first),
                     data::time_text(set.last), set.hex().substr(0, 8));
}

}  // namespace

std::string RowSet::hex() const { return fmt::format("{:016x}{:016x}", digest[0], digest[1]); }

RowSet joined(const RowSet& a, const RowSet& b) {
  if (a.rows == 0) return b;
  if (b.rows == 0) return a;
  return {a.rows + b.rows,
          {a.digest[0] + b.digest[0], a.digest[1] + b.digest[1]},
          std::min(a.first, b.first),
          std::max(a.last, b.last)};
}

std::array<RowSet, 3> row_sets(const data::Prepared& prepared) {
  const std::vector<uint64_t> users = hashes_of(prepared.user_ids), items = hashes_of(prepared.item_ids);
  constexpr int64_t kNever = std::numeric_limits<int64_t>::max();
  std::vector<int64_t> basket_time(static_cast<size_t>(prepared.n_baskets), kNever);
  for (size_t i = 0; i < prepared.basket.size(); ++i) {
    int64_t& time = basket_time[static_cast<size_t>(prepared.basket[i])];
    time = std::min(time, prepared.timestamp[i]);
  }
  std::array<RowSet, 3> sets;
  for (size_t i = 0; i < prepared.user.size(); ++i) {
    const int64_t time = prepared.timestamp[i];
    uint64_t hash = users[static_cast<size_t>(prepared.user[i])];
    hash = mix(hash + 0x9e3779b97f4a7c15u) ^ items[static_cast<size_t>(prepared.item[i])];
    hash = mix(hash + 0x9e3779b97f4a7c15u) ^ static_cast<uint64_t>(time);
    hash =
        mix(hash + 0x9e3779b97f4a7c15u) ^ static_cast<uint64_t>(basket_time[static_cast<size_t>(prepared.basket[i])]);
    const RowSet row{1, {mix(hash), mix(hash ^ 0x6a09e667f3bcc909u)}, time, time};
    RowSet& set = sets.at(prepared.split[i]);
    set = joined(set, row);
  }
  return sets;
}

nlohmann::json learned_rows(const data::Prepared& prepared) {
  const std::array<RowSet, 3> sets = row_sets(prepared);
  return {{"train", to_json(sets[data::kTrain])}, {"validation", to_json(sets[data::kValidation])}};
}

std::string check_unseen(const nlohmann::json& learned, const data::Prepared& prepared, Judged judged) {
  const RowSet fitted = part_of(learned, "train"), chosen_by = part_of(learned, "validation");
  const RowSet known = joined(fitted, chosen_by);
  const auto [train, validation, test] = row_sets(prepared);
  const RowSet past = joined(train, validation);
  const bool judges_validation = judged.validation && validation.rows > 0;
  const RowSet later = judges_validation ? joined(validation, test) : test;
  // Choices by the validation part do not count as knowing it: whatever is trained on this data makes them.
  if (judges_validation ? fitted == train && (known == train || known == past) : known == train || known == past) {
    return {};
  }
  if (later.rows == 0) return {};
  const std::string what = judges_validation ? "validation and test periods" : "test period";
  if (known.rows > 0 && known.last < later.first) {
    return fmt::format(
        "the model did not learn from the training part of this data ({}) but from {}; nothing that it knows is of the "
        "{}, from {} on",
        described(train), described(known), what, data::time_text(later.first));
  }
  const bool all = known == joined(past, test) || fitted == joined(past, test) || fitted == past;
  throw UsageError(
      fmt::format(
          "the model {} rows of the {} that it would be judged on: it learned from {}; the training part of the "
          "data has {}, and what it is judged on {}",
          all ? "knows" : "may know", what, described(known), described(train), described(later)),
      "train a model on the data that it is judged on (sheaf train DATA), or give a later test period");
}

bool knows_validation(const nlohmann::json& learned, const data::Prepared& prepared) {
  if (!learned.is_object() || !learned.contains("train")) return false;
  const RowSet fitted = from_json(learned.at("train"));
  const auto [train, validation, test] = row_sets(prepared);
  return validation.rows > 0 && fitted != train && fitted.rows > 0 && fitted.last >= validation.first;
}

}  // namespace sheaf::app
