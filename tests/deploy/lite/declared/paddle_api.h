// The part of Paddle Lite's light API that lite_session.hpp uses, declared by us from its documentation ("C++ API",
// https://www.paddlepaddle.org.cn/lite). Compiling against it proves syntax and types; the tests also link it with the
// Python package's library, which holds the same API, so that the sample runs on this machine.
// A board's program is built with the paddle_api.h of the release archive, never with this file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <string>
#include <vector>

namespace paddle {
namespace lite_api {

enum PowerMode { LITE_POWER_HIGH = 0, LITE_POWER_LOW = 1, LITE_POWER_FULL = 2, LITE_POWER_NO_BIND = 3 };
enum class TargetType : int { kHost = 1 };

bool IsOpenCLBackendValid(bool check_fp16_valid = false);

struct Tensor {
  void Resize(const std::vector<std::int64_t>& shape);
  template <typename T>
  T* mutable_data(TargetType type = TargetType::kHost) const;
  template <typename T>
  const T* data() const;
  std::vector<std::int64_t> shape() const;

 private:
  void* tensor_;
};

// The order of the virtual functions is that of the library's table; those the sample does not call only hold places.
class PaddlePredictor {
 public:
  virtual std::unique_ptr<Tensor> GetInput(int index) = 0;
  virtual std::unique_ptr<const Tensor> GetOutput(int index) const = 0;
  virtual void Run() = 0;
  virtual void place_of_clone() = 0;
  virtual void place_of_clone_with_names() = 0;
  virtual std::string GetVersion() const = 0;

 protected:
  ~PaddlePredictor() = default;
};

class ConfigBase {
 public:
  ConfigBase(PowerMode mode, int threads);
  void set_threads(int threads);
  void set_power_mode(PowerMode mode);

 private:
  // The library constructs the real object in here.
  alignas(std::max_align_t) unsigned char room_[16 * 1024];
};

class MobileConfig : public ConfigBase {
 public:
  // Its own members follow those of ConfigBase, we know not where; all of them may start from zeros.
  MobileConfig() : ConfigBase(LITE_POWER_NO_BIND, 1) {
    std::memset(static_cast<void*>(this), 0, sizeof *this);
    ::new (static_cast<void*>(this)) ConfigBase(LITE_POWER_NO_BIND, 1);
  }
  void set_model_from_file(const std::string& path);
};

template <typename Config>
std::shared_ptr<PaddlePredictor> CreatePaddlePredictor(const Config& config);

}  // namespace lite_api
}  // namespace paddle
