// Tensors of a data set or a model.

#include "engine/io/safetensors.hpp"
#include "tests/fuzz/driver.hpp"

using namespace sheaf;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  return fuzz::expect_error_or_none([&] {
    const io::SafetensorsFile file(fuzz::as_file(fuzz::as_text(data, size)));
    double sum = 0.0;
    for (const std::string& name : file.names()) {
      if (file.type(name) != io::TensorType::f32) continue;
      for (const float value : file.tensor<float>(name)) sum += static_cast<double>(value);
    }
    volatile double kept = sum;  // every byte is read
    (void)kept;
  });
}
