#pragma once
/// How the purchases of a prepared set respond to discounts, and what the discount of each offer adds.
/// engine/demand/price_response.hpp and increment.hpp have the assumption and the method.

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "engine/demand/price_response.hpp"
#include "host/config/config.hpp"
#include "host/data/prepared.hpp"

namespace sheaf::app {

class ChanceTable;
class Session;
struct Offer;
struct Campaign;

struct PriceResponses {
  PriceResponse training;
  PriceResponse validation;  // from the lines of that period alone: whether the first holds later
};

/// Of the lines of one period (data::kTrain, ..). Days are counted from the first line of the whole set.
PriceResponse response_of_period(const data::Prepared& prepared, uint8_t period, const PriceResponseParams& params);
PriceResponses estimate_responses(const data::Prepared& prepared);

/// discount.own_response and discount.cross_response where they are numbers; else what the training lines say.
UsedResponse used_response(const Session& session);
/// discount.uplift, or for "auto" what the used response says of a small discount: -own.
double used_uplift(const Session& session);

/// Fills `increment` of each offer. Chances are those of the table in the period, without the offer's discount.
void fill_increments(const ChanceTable& table, const Session& session, const Campaign& plan,
                     std::vector<Offer>& offers);

/// Two lines: what the data say, and what is used.
std::string response_text(const PriceResponses& responses, const UsedResponse& used);
/// How many offers add margin, lose margin, or cannot be told, and what costs are assumed.
std::string verdict_text(const std::vector<Offer>& offers, const config::Config& config);
nlohmann::json to_json(const PriceResponses& responses, const UsedResponse& used);

}  // namespace sheaf::app
