#pragma once
/// TF-IDF vectors of items from the words that describe them (Salton and Buckley, 1988), as sparse rows.
///
///   weight(i, t) = (1 + ln tf(i, t)) * (1 + ln((1 + n) / (1 + df(t)))), then each row is divided by its length.
///
/// tf(i, t): how often word t describes item i; df(t): items that t describes; n: items. The dot product of two rows is
/// their cosine. A row without words stays empty: its cosine with everything is 0. Host only; the result does not
/// depend on threads.

#include "engine/data/csr.hpp"

namespace sheaf {

/// counts is [n_items, n_words], values = tf >= 1. UsageError for a count below 1 or one that is not finite.
HostCsr tf_idf(const HostCsr& counts);

}  // namespace sheaf
