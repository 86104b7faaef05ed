#include "host/data/unknown_ids.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "host/text/format.hpp"
#include "kernels/core/error.hpp"

namespace sheaf::data {
namespace {

constexpr size_t kShown = 5;
constexpr size_t kShownWidth = 40;  // characters of an id
constexpr const char* kMend = "mend the ids or leave the lines out; run.unknown_ids = skip goes on without them";

}  // namespace

UnknownPolicy unknown_policy(std::string_view name) {
  return name == "refuse" ? UnknownPolicy::refuse : UnknownPolicy::skip;
}

int32_t IdLookup::user(std::string_view id, int64_t line) { return look_up(prepared_.user_ids, id, line, users_); }
int32_t IdLookup::item(std::string_view id, int64_t line) { return look_up(prepared_.item_ids, id, line, items_); }

int32_t IdLookup::look_up(const StringTable& ids, std::string_view id, int64_t line, Kind& kind) {
  const int64_t code = ids.find_sorted(id);
  if (code >= 0) {
    ++kind.known;
    return static_cast<int32_t>(code);
  }
  if (policy_ == UnknownPolicy::refuse) {
    try {
      &kind == &users_ ? prepared_.find_user(id) : prepared_.find_item(id);
    } catch (const DataError& error) {
      throw DataError(fmt::format("{} line {}: {}", file_.string(), line, error.what()),
                      fmt::format("{} Or {}", error.hint(), kMend));
    }
  }
  if (kind.unknown.size() < kShown) {
    kind.unknown.push_back(fmt::format("'{}' (line {})", text::shortened(std::string(id), kShownWidth), line));
  }
  ++kind.n_unknown;
  return -1;
}

void IdLookup::require_any() const {
  for (const Kind* kind : {&users_, &items_}) {
    if (kind->known > 0 || kind->n_unknown == 0) continue;
    throw DataError(fmt::format("{}: none of its {} {} is known in {}: {}", file_.string(), kind->n_unknown, kind->what,
                                prepared_.name, fmt::join(kind->unknown, ", ")),
                    "name them by their ids in the data set");
  }
}

std::string IdLookup::note() const {
  std::string text;
  for (const Kind* kind : {&users_, &items_}) {
    if (kind->n_unknown == 0) continue;
    text += fmt::format("{}{}: {} of {} {} are not in {} and are left out: {}{}", text.empty() ? "" : "; ",
                        file_.string(), kind->n_unknown, kind->n_unknown + kind->known, kind->what, prepared_.name,
                        fmt::join(kind->unknown, ", "), kind->n_unknown > std::ssize(kind->unknown) ? ", …" : "");
  }
  return text;
}

}  // namespace sheaf::data
