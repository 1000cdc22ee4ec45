// VLFeat's vl_gmm: diagonal covariances, timed in float32, which its vector code is written for.
extern "C" {
#include <vl/generic.h>
#include <vl/gmm.h>
}

#include "driver.hpp"

namespace {

std::size_t expectations = 0;

// VLFeat prints a line with the likelihood after each E-step; that is how its iterations are counted.
int count_expectations(const char* format, ...) {
    if (std::strstr(format, "loglikelihood =") != nullptr && std::strstr(format, "iteration") != nullptr) ++expectations;
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 3) {
        std::cerr << "usage: vlfeat FOLDER diag\n";
        return 2;
    }
    const Problem problem(argv[1], argv[2]);
    if (problem.covariance_type != "diag" || !problem.X.single) {
        std::cerr << "VLFeat is measured on diag in float32 only\n";
        return 2;
    }
    const std::size_t d = problem.n_features, k = problem.n_components;
    const std::vector<float> X = problem.X.as<float>(), means = problem.means.as<float>(),
                             covariances = problem.covariances.as<float>(), weights = problem.weights.as<float>();
    vl_set_printf_func(count_expectations);
    if (const char* threads = std::getenv("OMP_NUM_THREADS")) vl_set_num_threads(std::strtoul(threads, nullptr, 10));
    VlGMM* model = vl_gmm_new(VL_TYPE_FLOAT, d, k);
    vl_gmm_set_initialization(model, VlGMMCustom);
    vl_gmm_set_verbosity(model, 1);
    vl_gmm_set_covariance_lower_bound(model, 1e-6);

    const auto run = [&](std::size_t n_iterations) {
        vl_gmm_set_means(model, means.data());
        vl_gmm_set_covariances(model, covariances.data());
        vl_gmm_set_priors(model, weights.data());
        vl_gmm_set_max_num_iterations(model, n_iterations);
        expectations = 0;
        Outcome outcome;
        outcome.seconds = seconds_of([&] { vl_gmm_em(model, X.data(), problem.n_samples); });
        // n iterations end with an E-step more; one that finds no change ends before its M-step.
        outcome.iterations = expectations > 0 ? expectations - 1 : 0;
        return outcome;
    };
    answer_requests(problem, "vlfeat", run, [&](const std::string& prefix) {
        write_npy(prefix + "weights.npy", {k}, static_cast<const float*>(vl_gmm_get_priors(model)));
        write_npy(prefix + "means.npy", {k, d}, static_cast<const float*>(vl_gmm_get_means(model)));
        write_npy(prefix + "covariances.npy", {k, d}, static_cast<const float*>(vl_gmm_get_covariances(model)));
    });
    vl_gmm_delete(model);
}
