// The part of the Paddle Inference C++ API that session.hpp uses, declared by us from its documentation
// (https://www.paddlepaddle.org.cn/inference, "C++ API"), for two builds that have no headers of Paddle's:
// without Paddle main.cpp is compiled against this, which proves its syntax and types and no more; with the Python
// wheel, which has the library and not the headers, it is linked, which also proves these signatures.
// Where the Paddle Inference package is found, its own paddle_inference_api.h is used instead of this file.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

namespace paddle {

class AnalysisConfig {
 public:
  AnalysisConfig(const std::string& program, const std::string& parameters);
  AnalysisConfig(const AnalysisConfig& other);
  ~AnalysisConfig();
  void DisableGlogInfo();
  void DisableONEDNN();
  void EnableCustomPasses(const std::vector<std::string>& passes, bool only_these);
  void EnableNewExecutor(bool enabled);
  void EnableNewIR(bool enabled);
  void EnableONEDNN();
  void SetCpuMathLibraryNumThreads(int threads);
  void SetOnednnCacheCapacity(int capacity);

 private:
  // The library constructs the real object in here; less than 2 KiB in Paddle 3.3.1.
  alignas(std::max_align_t) unsigned char room_[16 * 1024];
};

}  // namespace paddle

namespace paddle_infer {

using Config = paddle::AnalysisConfig;

class Tensor {
 public:
  void Reshape(const std::vector<int>& shape);
  template <typename T>
  void CopyFromCpu(const T* data);
  template <typename T>
  void CopyToCpu(T* data) const;
  std::vector<int> shape() const;

  // The library allocated the object and knows its size; a sized delete would be told the size of this stand-in.
  static void operator delete(void* object) { ::operator delete(object); }
};

class Predictor {
 public:
  std::vector<std::string> GetInputNames();
  std::vector<std::string> GetOutputNames();
  std::unique_ptr<Tensor> GetInputHandle(const std::string& name);
  std::unique_ptr<Tensor> GetOutputHandle(const std::string& name);
  bool Run();
};

std::shared_ptr<Predictor> CreatePredictor(const Config& config);

}  // namespace paddle_infer
