// What the C++ peers share: .npy files in and out, and the requests libraries.py answers in the same way.
//
// A request is a line "run <n>" or "save <n>" on standard input: n iterations from the given start. The answer is a
// line "<seconds> <iterations really made>"; "save" writes <name>_weights.npy, _means.npy and _covariances.npy first.
#pragma once

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fstream>
#include <iostream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

struct Array {
    std::vector<std::size_t> shape;
    bool single = false;
    std::vector<char> bytes;

    std::size_t size() const {
        std::size_t count = 1;
        for (std::size_t extent : shape) count *= extent;
        return count;
    }

    template <typename Real>
    std::vector<Real> as() const {
        std::vector<Real> values(size());
        for (std::size_t i = 0; i < values.size(); ++i)
            values[i] = single ? Real(reinterpret_cast<const float*>(bytes.data())[i])
                               : Real(reinterpret_cast<const double*>(bytes.data())[i]);
        return values;
    }
};

// Reads what NumPy writes for C-ordered float32 or float64 arrays, format 1.0.
inline Array read_npy(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    char magic[8];
    std::uint16_t length = 0;
    if (!file.read(magic, 8) || std::memcmp(magic, "\x93NUMPY\x01", 7) != 0)
        throw std::runtime_error(path + " is not a .npy file of format 1.0");
    file.read(reinterpret_cast<char*>(&length), 2);
    std::string header(length, ' ');
    file.read(&header[0], length);
    Array array;
    array.single = header.find("'<f4'") != std::string::npos;
    if ((!array.single && header.find("'<f8'") == std::string::npos) || header.find("True") != std::string::npos)
        throw std::runtime_error(path + " is not a C-ordered float32 or float64 array");
    const std::size_t open = header.find('('), close = header.find(')');
    std::istringstream shape(header.substr(open + 1, close - open - 1));
    for (std::string part; std::getline(shape, part, ',');)
        if (part.find_first_of("0123456789") != std::string::npos) array.shape.push_back(std::stoul(part));
    array.bytes.resize(array.size() * (array.single ? 4 : 8));
    if (!file.read(array.bytes.data(), std::streamsize(array.bytes.size())))
        throw std::runtime_error(path + " ends early");
    return array;
}

template <typename Real>
void write_npy(const std::string& path, const std::vector<std::size_t>& shape, const Real* values) {
    std::ostringstream header;
    header << "{'descr': '<f8', 'fortran_order': False, 'shape': (";
    std::size_t count = 1;
    for (std::size_t extent : shape) {
        header << extent << ',';
        count *= extent;
    }
    header << "), }";
    std::string text = header.str();
    text.append(63 - (10 + text.size()) % 64, ' ');
    text.push_back('\n');
    const std::uint16_t length = std::uint16_t(text.size());
    std::ofstream file(path, std::ios::binary);
    file.write("\x93NUMPY\x01\x00", 8);
    file.write(reinterpret_cast<const char*>(&length), 2);
    file << text;
    const std::vector<double> doubles(values, values + count);
    file.write(reinterpret_cast<const char*>(doubles.data()), std::streamsize(8 * count));
}

struct Problem {
    std::string folder, covariance_type;
    Array X, weights, means, covariances;
    std::size_t n_samples, n_features, n_components;

    Problem(const std::string& where, const std::string& type)
        : folder(where + "/"), covariance_type(type), X(read_npy(folder + "X.npy")),
          weights(read_npy(folder + "weights.npy")), means(read_npy(folder + "means.npy")),
          covariances(read_npy(folder + "covariances.npy")), n_samples(X.shape[0]), n_features(X.shape[1]),
          n_components(means.shape[0]) {}
};

struct Outcome {
    double seconds = 0;
    std::size_t iterations = 0;
};

// By the clock, or by the processor time of this process: libraries.py counts by the same.
inline double now() {
    const char* clock = std::getenv("FASTGMM_BENCHMARK_CLOCK");
    if (clock && !std::strcmp(clock, "processor")) return double(std::clock()) / CLOCKS_PER_SEC;
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

template <typename Function>
double seconds_of(Function&& function) {
    const double begin = now();
    function();
    return now() - begin;
}

// `run(n)` returns an Outcome; `save(prefix)` writes the parameters the last run ended with.
template <typename Run, typename Save>
void answer_requests(const Problem& problem, const std::string& name, Run&& run, Save&& save) {
    std::cout << "ready" << std::endl;
    std::string request;
    for (std::size_t n_iterations; std::cin >> request >> n_iterations;) {
        const Outcome outcome = run(n_iterations);
        if (request == "save") save(problem.folder + name + "_");
        std::cout.precision(9);
        std::cout << outcome.seconds << ' ' << outcome.iterations << std::endl;
    }
}
