#include "host/app/joint.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "engine/data/nearest.hpp"
#include "host/app/session.hpp"
#include "kernels/core/error.hpp"
#include "kernels/core/interrupt.hpp"
#include "kernels/core/range.hpp"

namespace sheaf::app {
namespace {

constexpr double kUsualPeriod = 28.0;  // days, where no period is held out
const std::vector<std::string> kTerms{"joint", "affinity", "revenue", "margin", "discovery", "clearance"};

double days_between(int64_t from, int64_t to) { return static_cast<double>(to - from) / 86400.0; }

/// First and last time of baskets that are not none.
std::pair<int64_t, int64_t> span_of(const std::vector<int64_t>& time) {
  const auto [first, last] = std::ranges::minmax_element(time);
  return {*first, *last};
}

[[noreturn]] void bad_objective(const std::string& text, const std::string& part) {
  throw UsageError(
      fmt::format("search.objective = '{}': '{}' is no term", text, part),
      fmt::format("write names with weights, such as 'joint' or 'revenue + 0.5 discovery'; did you mean '{}'?",
                  text::nearest(part, kTerms)));
}

}  // namespace

ObjectiveTerms ObjectiveTerms::parse(const std::string& text) {
  ObjectiveTerms terms;
  size_t from = 0;
  while (from <= text.size()) {
    const size_t to = std::min(text.find('+', from), text.size());
    std::string part = text.substr(from, to - from);
    part.erase(0, part.find_first_not_of(' '));
    part.erase(part.find_last_not_of(' ') + 1);
    const size_t blank = part.find_last_of(" *");
    const std::string name = blank == std::string::npos ? part : part.substr(blank + 1);
    double weight = 1.0;
    if (blank != std::string::npos) {
      const std::string number = part.substr(0, part.find_last_not_of(" *", blank) + 1);
      char* end = nullptr;
      weight = std::strtod(number.c_str(), &end);
      if (number.empty() || *end != '\0' || !std::isfinite(weight) || weight < 0.0) bad_objective(text, part);
    }
    double* const places[] = {&terms.joint,  &terms.affinity,  &terms.revenue,
                              &terms.margin, &terms.discovery, &terms.clearance};
    const auto at = std::ranges::find(kTerms, name);
    if (at == kTerms.end()) bad_objective(text, part);
    *places[at - kTerms.begin()] += weight;
    from = to + 1;
  }
  if (!terms.is_joint() && terms.affinity == 0.0) {
    throw UsageError(fmt::format("search.objective = '{}' weighs nothing", text), "give a term a weight above 0");
  }
  return terms;
}

std::string ObjectiveTerms::unit(const std::string& currency) const {
  const bool money = revenue != 0 || margin != 0;
  const bool baskets = joint != 0 || discovery != 0 || clearance != 0;
  if (affinity != 0 && !is_joint()) return "affinity";
  if (money && !baskets && affinity == 0) return currency;
  if (baskets && !money && affinity == 0) return "expected baskets";
  return "weighted sum";
}

BasketHistory basket_history(const Session& session) {
  const Purchases& p = session.purchases;
  BasketHistory history = training_baskets(session.purchases, session.prepared.n_users);
  if (session.config().search.history == "train") return history;
  return joined(history, {p.validation_baskets, p.validation_basket_user, p.validation_basket_time, history.n_users});
}

JointModel make_joint_model(const Session& session) {
  const Range range("chances");
  check_interrupt("the fit of the chances");
  Context& context = session.context();
  const BasketHistory history = basket_history(session);
  if (history.n_baskets() == 0) {
    throw DataError("the data has no basket to learn chances from", "import data with a training period");
  }
  const Purchases& p = session.purchases;
  const std::vector<int32_t>& category = session.catalog.category;
  JointModel joint;
  joint.n_baskets = history.n_baskets();
  joint.day = history.last_day();
  const int64_t end = *std::ranges::max_element(history.time);
  // The period that the test judges, else as long as the validation; a gap where the history stops before it.
  const bool has_test = !p.test_basket_time.empty(), has_validation = !p.validation_basket_time.empty();
  if (has_test || has_validation) {
    const auto [first, last] = span_of(has_test ? p.test_basket_time : p.validation_basket_time);
    joint.period_days = std::max(1.0, std::ceil(days_between(first, last)));
    if (has_test && first > end) joint.gap_days = std::floor(days_between(end, first));
  } else {
    joint.period_days = std::min(kUsualPeriod, std::max(1.0, (joint.day - history.first_day()) / 6.0));
  }
  const Vectors& vectors = session.item_vectors();
  joint.vectors = vectors.values.to_host();
  joint.dim = vectors.dim;
  if (!std::ranges::all_of(joint.vectors, [](float x) { return std::isfinite(x); })) joint.vectors.clear();

  const HabitParams params{.period_days = joint.period_days, .gap_days = joint.gap_days};
  joint.habits = fit_habits(context, history, category, params);
  joint.chances = basket_chances(context, history, category, joint.habits, joint.day, joint.period_days);
  if (has_validation) {
    constexpr int64_t kHead = 64;
    const Scorer& scorer = session.scorer();
    const int64_t length = std::min(kHead, scorer.n_items());
    const Queries everyone = Queries::everyone(context, history.n_users);
    const std::vector<int32_t> listed = scorer.top_k(context, everyone, length).items.to_host();
    const std::vector<float> logits = pair_scores(context, scorer, everyone, listed, length);
    BasketChances early;  // what users had bought when the validation period began
    early.own = session.purchases.train_counts;
    joint.chances.new_item =
        fit_new_items(early, listed, logits, length,
                      {p.validation_baskets, p.validation_basket_user, p.validation_basket_time, history.n_users});
  }
  const auto dependence_of = [&](const BasketHistory& of) {
    return fit_dependence(
        count_pairs(context, of.items, 1,
                    "take search.objective = \"affinity\", or import fewer items (clean.min_item_users)"),
        category, joint.vectors, joint.dim);
  };
  joint.dependence = dependence_of(history);
  fit_user_dependence(context, history, joint.habits, params, joint.vectors, joint.dim, joint.dependence);
  if (has_validation) {
    const BasketDependence& judged = session.config().search.history == "train"
                                         ? joint.dependence
                                         : dependence_of(training_baskets(session.purchases, session.prepared.n_users));
    joint.gain = judge_dependence(context, judged, p.validation_baskets, joint.vectors, joint.dim);
  }
  std::vector<int32_t> everyone = all_ids(history.n_users);
  joint.all = joint.chance_of(everyone);
  joint.expected_baskets =
      std::accumulate(joint.chances.expected_baskets.begin(), joint.chances.expected_baskets.end(), 0.0);
  return joint;
}

std::vector<float> JointModel::chance_of(const std::vector<int32_t>& users) const {
  std::vector<double> held(static_cast<size_t>(chances.own.n_columns), 0.0);
  double baskets = 0.0;
  for (const int32_t user : users) {
    const auto expected = static_cast<double>(chances.expected_baskets[static_cast<size_t>(user)]);
    baskets += expected;
    const auto first = static_cast<size_t>(chances.own.row_offsets[static_cast<size_t>(user)]);
    const auto row = chances.own.row(user);
    for (size_t e = 0; e < row.size(); ++e) {
      held[static_cast<size_t>(row[e])] += expected * static_cast<double>(chances.own.values[first + e]);
    }
  }
  std::vector<float> chance;
  for (const double sum : held) chance.push_back(baskets > 0.0 ? static_cast<float>(sum / baskets) : 0.0f);
  return chance;
}

double JointModel::at_least_two(const std::vector<int32_t>& items, const std::vector<double>& chance) const {
  double independent = 0.0, together = 0.0;
  for (size_t a = 0; a < items.size(); ++a) {
    for (size_t b = 0; b < a; ++b) {
      const double product = chance[a] * chance[b];
      const double rho = dependence.user_rho(items[a], items[b], cosine_of(vectors, dim, items[a], items[b]));
      independent += product;
      together += std::min({chance[a], chance[b], product * rho});
    }
  }
  const double factor = independent > 0.0 ? together / independent : 1.0;
  return std::clamp(app::at_least_two(chance) * factor, 0.0, 1.0);
}

void apply_objective(const ObjectiveTerms& terms, const JointModel& joint, const Session& session, const Campaign& plan,
                     SearchParams& params) {
  const auto n = static_cast<size_t>(session.prepared.n_items);
  const std::vector<float>& price = session.prepared.item_price;
  params.weight_association *= static_cast<float>(terms.affinity);
  params.weight_preference *= static_cast<float>(terms.affinity);
  params.weight_revenue *= static_cast<float>(terms.affinity);
  if (terms.joint != 0) params.pair_value.assign(n, static_cast<float>(0.5 * terms.joint));
  if (terms.revenue != 0 || terms.margin != 0) {
    for (const float p : price) {
      params.paid_value.push_back(static_cast<float>((terms.revenue + terms.margin) * static_cast<double>(p)));
    }
  }
  params.pair_value.resize(terms.margin != 0 || terms.clearance != 0 ? n : params.pair_value.size(), 0.0f);
  if (terms.margin != 0) {
    const std::vector<double> cost = plan.unit_costs(session.prepared, session.config());
    for (size_t i = 0; i < n; ++i) params.pair_value[i] -= static_cast<float>(terms.margin * cost[i]);
  }
  if (terms.clearance != 0) {
    if (plan.facts.stock.empty()) {
      throw UsageError("search.objective = clearance needs to know the stock",
                       "give search.item_facts = \"FILE\" with the columns item,stock");
    }
    for (size_t i = 0; i < n; ++i) {
      const double stock = plan.facts.stock[i], sells = joint.expected_baskets * static_cast<double>(joint.all[i]);
      if (!std::isfinite(stock) || stock <= 0.0) continue;
      params.pair_value[i] += static_cast<float>(terms.clearance * std::max(0.0, stock - sells) / stock);
    }
  }
  if (terms.discovery != 0) params.fresh_value.assign(n, static_cast<float>(0.5 * terms.discovery));
}

double at_least_two(const std::vector<double>& probabilities) {
  double none = 1, one = 0;  // of the items so far: P(none), P(exactly one)
  for (const double p : probabilities) {
    one = one * (1 - p) + none * p;
    none *= 1 - p;
  }
  return std::max(0.0, 1 - none - one);
}

std::string objective_text(const config::Config& config, double period_days, const std::string& currency) {
  const ObjectiveTerms terms = ObjectiveTerms::parse(config.search.objective);
  if (!terms.is_joint()) {
    return "A bundle's value is F, the sum over its pairs of P(i) A(i, j): a number to compare bundles by, without a "
           "unit.";
  }
  const std::string period = fmt::format("baskets of the coming {:g} days", period_days);
  std::string what;
  const auto add = [&](double weight, const std::string& meaning) {
    if (weight == 0.0) return;
    if (!what.empty()) what += "; plus ";
    if (weight != 1.0) what += fmt::format("{:g} times ", weight);
    what += meaning;
  };
  add(terms.joint, fmt::format("the pairs of its items that {} are expected to hold", period));
  add(terms.revenue, fmt::format("the {} paid for such pairs at the offer's price", currency));
  add(terms.margin, fmt::format("the {} left of such pairs after their costs", currency));
  add(terms.discovery, "such pairs, half for each item that the user has not bought before");
  add(terms.clearance, "such pairs, half for each item by the share of its stock that would be left over");
  add(terms.affinity, "F, the sum over pairs of P(i) A(i, j)");
  return fmt::format("A bundle's value (search.objective = {}): {}.", config.search.objective, what);
}

nlohmann::json to_json(const JointModel& joint) {
  nlohmann::json weights;
  for (size_t f = 0; f < kHabitFeatures; ++f) weights[HabitModel::names()[f]] = joint.habits.weight[f];
  return {{"period_days", joint.period_days},
          {"gap_days", joint.gap_days},
          {"history_baskets", joint.n_baskets},
          {"fitted", joint.habits.fitted},
          {"reason", joint.habits.reason},
          {"learned_from_pairs", joint.habits.n_pairs},
          {"windows", joint.habits.n_windows},
          {"log_loss", joint.habits.log_loss},
          {"log_loss_of_plain_rate", joint.habits.rate_log_loss},
          {"new_items",
           {{"slope", joint.chances.new_item.slope},
            {"offset", joint.chances.new_item.offset},
            {"learned_from_pairs", joint.chances.new_item.n_pairs}}},
          {"weights", weights},
          {"bias", joint.habits.bias},
          {"expected_baskets", joint.expected_baskets},
          {"dependence",
           {{"prior_strength", joint.dependence.prior_strength},
            {"prior_cosine", joint.dependence.prior_cosine},
            {"user_exponent", joint.dependence.user_exponent},
            {"user_offset", joint.dependence.user_offset},
            {"validation_gain_of_prior", joint.gain.prior},
            {"validation_gain_of_counts", joint.gain.ratio},
            {"validation_pairs", joint.gain.n_pairs}}}};
}

std::string joint_text(const JointModel& joint) {
  std::string text;
  if (joint.habits.fitted) {
    text = fmt::format(
        "chances learned from {} (user, item) pairs of {} earlier periods of {:g} days; log-loss {:.5f}, of the plain "
        "rate "
        "{:.5f}\n",
        joint.habits.n_pairs, joint.habits.n_windows, joint.period_days, joint.habits.log_loss,
        joint.habits.rate_log_loss);
  } else {
    text = fmt::format("chances are the users' plain rates: {}\n", joint.habits.reason);
  }
  const BasketDependence& d = joint.dependence;
  text += fmt::format(
      "items together: counts drawn towards categories as by {:g} expected baskets, exponent {:.2f} for one user",
      d.prior_strength, d.user_exponent);
  if (joint.gain.n_pairs > 0) {
    text += fmt::format(
        "; log-likelihood a pair of the validation period above independence: categories {:+.4f}, counts {:+.4f}",
        joint.gain.prior, joint.gain.ratio);
  }
  return text + "\n";
}

}  // namespace sheaf::app
