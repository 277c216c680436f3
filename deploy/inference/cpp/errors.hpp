// The ways a command can end, the same as in Python: 0 done, 1 failed, 2 the request is wrong, 3 a check did not hold.
#pragma once

#include <cstdio>
#include <exception>
#include <stdexcept>

namespace ppresnet {

// What was asked for cannot be done as asked: a wrong option, a missing file, an altered bundle.
struct RequestError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// A golden tensor was not reproduced.
struct CheckFailed : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Runs the body of a main function; an exception becomes a line on stderr and its exit code.
template <typename Body>
int guarded(const char* program, Body body) {
  try {
    body();
    return 0;
  } catch (const RequestError& error) {
    std::fprintf(stderr, "%s: %s\n", program, error.what());
    return 2;
  } catch (const CheckFailed& error) {
    std::fprintf(stderr, "%s: %s\n", program, error.what());
    return 3;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s: %s\n", program, error.what());
    return 1;
  }
}

}  // namespace ppresnet
