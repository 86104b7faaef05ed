#include "kernels/genetic/search_vector.hpp"

namespace sheaf::genetic::cpu {

const SearchKernel kPortableSearch{"portable", run};

}  // namespace sheaf::genetic::cpu
