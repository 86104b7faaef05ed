// complete: the items that best complete a started basket or bundle.

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "host/app/completion.hpp"
#include "host/cli/commands.hpp"
#include "host/cli/console.hpp"
#include "host/cli/workspace.hpp"
#include "host/data/find_item.hpp"
#include "host/report/report.hpp"
#include "host/text/csv.hpp"
#include "kernels/core/error.hpp"
#include "kernels/core/interrupt.hpp"
#include "kernels/core/parallel.hpp"
#include "kernels/core/range.hpp"

namespace sheaf::cli {
namespace {

constexpr size_t kSuggestionWidth = 36;
constexpr int64_t kListed = 10;

void check_options(const Options& options) {
  const auto refuse = [](bool wrong, const char* what, const char* mend) {
    if (wrong) throw UsageError(what, mend);
  };
  refuse(options.items.empty() == options.file.empty(), "name the items to complete: --items, or --file for many",
         "sheaf complete --help shows an example");
  refuse(options.users.size() > 1, "--user is given twice", "a basket is of one user; --file takes a column user");
  refuse(!options.users.empty() && !options.file.empty(), "--user is for --items",
         "give --file a column user: bundle,item,user");
  refuse(!options.users.empty() && options.model.empty(), "--user needs --model", "train one: sheaf train");
  refuse(options.size > 0 && !options.file.empty(), "--size is for --items", "--file lists --k items for each");
  if (options.size > 0) refuse_given({{"--k", options.k.has_value()}}, "with --size", "--k lists single items");
  if (options.users.empty() && options.file.empty()) {
    refuse_given({{"--model", !options.model.empty()}}, "without --user",
                 "it says what a user wants; name one, or leave it out");
  }
}

/// Ids or names with commas between; a name with a comma of its own is found whole.
std::vector<int32_t> named_items(const data::Prepared& prepared, const std::vector<std::string>& texts) {
  std::vector<int32_t> items;
  const auto add = [&](std::string_view text) {
    const int32_t item = data::find_item_by_name(prepared, text);
    if (std::ranges::find(items, item) == items.end()) items.push_back(item);
  };
  const auto is_whole = [&](std::string_view text) {
    for (int64_t i = 0; i < prepared.n_items; ++i) {
      if (prepared.item_names[i] == text || prepared.item_ids[i] == text) return true;
    }
    return false;
  };
  for (const std::string& text : texts) {
    if (text.find(',') == std::string::npos || is_whole(text)) {
      add(text);
      continue;
    }
    for (size_t at = 0; at <= text.size();) {
      const size_t end = std::min(text.find(',', at), text.size());
      const std::string_view part = text::trim(std::string_view(text).substr(at, end - at));
      if (part.empty()) throw UsageError(fmt::format("--items {}: an empty name", text), "write --items a,b");
      add(part);
      at = end + 1;
    }
  }
  return items;
}

/// One listed item with what speaks for it.
struct Suggestion {
  RankedItem ranked;
  int32_t with = -1;  // the started bundle's item that it goes with best
  ItemPair pair;      // of the two
  double chance = 0.0;
};

class Completer {
 public:
  Completer(const Options& options, const Progress& progress) : work_(options) {
    std::optional<data::GivenBundles> given;
    if (!options.like.empty()) {
      given = data::read_given_bundles(options.like, work_.session.prepared, *work_.context);
      progress.line(app::given_text(*given));
    }
    source_ = given ? "given bundles" : "training baskets";
    if (!options.model.empty()) work_.load_model(options.model);
    scorer_.emplace(app::completion_scorer(work_.session, given ? &*given : nullptr));
  }

  const data::Prepared& prepared() const { return work_.session.prepared; }
  const CompletionScorer& scorer() const { return *scorer_; }
  const Context& context() const { return *work_.context; }
  const config::Config& config() const { return work_.config; }
  const std::string& source() const { return source_; }
  bool has_model() const { return work_.session.has_model(); }

  std::vector<double> prior(int32_t user) {
    if (!has_model()) return {};
    return app::user_prior(work_.session, user);
  }
  std::vector<Suggestion> explain(std::vector<int32_t> items, const std::vector<RankedItem>& ranked, bool grows,
                                  const std::vector<double>& prior) const {
    std::vector<Suggestion> out;
    const double weight = work_.config.complete.user_weight;
    for (const RankedItem& one : ranked) {
      Suggestion& s = out.emplace_back();
      s.ranked = one;
      s.with = scorer_->nearest_of(items, one.item);
      s.pair = scorer_->pair(s.with, one.item);
      if (!prior.empty() && weight > 0.0) s.chance = prior[static_cast<size_t>(one.item)] / weight;
      if (grows) items.push_back(one.item);
    }
    return out;
  }

 private:
  Workspace work_;
  std::optional<CompletionScorer> scorer_;
  std::string source_;
};

nlohmann::json suggestion_json(const data::Prepared& prepared, const Suggestion& s, bool with_user) {
  nlohmann::json json{{"item", std::string(prepared.item_ids[s.ranked.item])},
                      {"item_name", std::string(prepared.item_names[s.ranked.item])},
                      {"score", s.ranked.score},
                      {"with", std::string(prepared.item_ids[s.with])},
                      {"with_name", std::string(prepared.item_names[s.with])},
                      {"together", s.pair.together},
                      {"expected", s.pair.expected},
                      {"lift", s.pair.lift()},
                      {"words", s.pair.text}};
  if (with_user) json["chance"] = s.chance;
  return json;
}

std::string shown(const data::Prepared& prepared, int32_t item) {
  return text::shortened(std::string(prepared.item_names[item]), kSuggestionWidth);
}

std::string table_text(const data::Prepared& prepared, const std::vector<Suggestion>& suggestions,
                       const std::string& source, bool with_user) {
  std::vector<std::string> titles{"item", "id", ">score", "goes with", ">" + source, ">by chance", ">lift", ">words"};
  if (with_user) titles.emplace_back(">chance");
  Table table(std::move(titles));
  for (const Suggestion& s : suggestions) {
    std::vector<std::string> cells{shown(prepared, s.ranked.item),        std::string(prepared.item_ids[s.ranked.item]),
                                   fmt::format("{:.4f}", s.ranked.score), shown(prepared, s.with),
                                   std::to_string(s.pair.together),       fmt::format("{:.1f}", s.pair.expected),
                                   fmt::format("{:.2f}", s.pair.lift()),  fmt::format("{:.2f}", s.pair.text)};
    if (with_user) cells.push_back(fmt::format("{:.4f}", s.chance));
    table.add(std::move(cells));
  }
  return table.str();
}

std::string as_line(const nlohmann::json& json) {
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

/// One line of JSON for each started bundle of the file.
std::string complete_file(Completer& completer, const data::GivenBundles& partial, int64_t k) {
  const data::Prepared& prepared = completer.prepared();
  std::vector<std::vector<double>> priors(partial.items.size());
  for (size_t b = 0; b < partial.users.size() && completer.has_model(); ++b) {
    priors[b] = completer.prior(partial.users[b]);
  }
  std::vector<std::vector<RankedItem>> best(partial.items.size());
  check_interrupt("the completion of bundles");
  parallel_for(completer.context(), std::ssize(partial.items), 1, [&](int64_t begin, int64_t end) {
    for (auto b = static_cast<size_t>(begin); b < static_cast<size_t>(end); ++b) {
      best[b] = best_items(completer.scorer().scores(partial.items[b]), priors[b], k);
    }
  });
  std::string out;
  for (size_t b = 0; b < best.size(); ++b) {
    nlohmann::json items = nlohmann::json::array();
    for (const RankedItem& one : best[b]) {
      items.push_back({{"item", std::string(prepared.item_ids[one.item])}, {"score", one.score}});
    }
    out += as_line({{"bundle", partial.names[b]}, {"items", items}});
  }
  return out;
}

}  // namespace

void run_complete(const Options& options) {
  check_options(options);
  const Progress progress(options.quiet);
  Completer completer(options, progress);
  const Range range("complete");
  const data::Prepared& prepared = completer.prepared();
  if (!options.file.empty()) {
    data::IdLookup ids(options.file, prepared, data::unknown_policy(completer.config().run.unknown_ids));
    const data::GivenBundles partial = data::read_partial_bundles(options.file, completer.context(), ids);
    if (!ids.note().empty()) progress.line("note: " + ids.note());
    if (!partial.users.empty() && !completer.has_model()) {
      progress.line("the column user is not looked at without --model");
    }
    if (partial.users.empty() && completer.has_model()) {
      throw UsageError("--model has no effect: " + options.file.string() + " has no column user",
                       "it says what a user wants; add the column, or leave --model out");
    }
    print(complete_file(completer, partial, options.k.value_or(kListed)));
    return;
  }
  const std::vector<int32_t> items = named_items(prepared, options.items);
  if (options.size > 0 && options.size <= std::ssize(items)) {
    throw UsageError(fmt::format("--size {}: the started bundle has {} items", options.size, items.size()),
                     "give a larger size, or --k for a list of single items");
  }
  const bool with_user = !options.users.empty();
  const std::vector<double> prior =
      with_user ? completer.prior(prepared.find_user(options.users.front())) : std::vector<double>();
  const CompletionScorer& scorer = completer.scorer();
  const std::vector<RankedItem> ranked = options.size > 0
                                             ? complete_bundle(scorer, items, options.size, prior)
                                             : best_items(scorer.scores(items), prior, options.k.value_or(kListed));
  const std::vector<Suggestion> suggestions = completer.explain(items, ranked, options.size > 0, prior);
  if (options.json) {
    nlohmann::json list = nlohmann::json::array();
    for (const Suggestion& s : suggestions) list.push_back(suggestion_json(prepared, s, with_user));
    print(list.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
    return;
  }
  std::string names;
  for (const int32_t item : items) {
    names += fmt::format("{}{} ({})", names.empty() ? "" : " + ", prepared.item_names[item], prepared.item_ids[item]);
  }
  print(fmt::format("{}{}, learned from {} {}\n", names, with_user ? " of user " + options.users.front() : "",
                    scorer.n_bundles(), completer.source()) +
        table_text(prepared, suggestions, completer.source() == "given bundles" ? "bundles" : "baskets", with_user));
}

}  // namespace sheaf::cli
