// Armadillo's gmm_full and gmm_diag, and their float32 twins, from a given start.
#include <armadillo>

#include "driver.hpp"

namespace {

template <typename Model, typename Real>
void serve(const Problem& problem) {
    const std::size_t d = problem.n_features, k = problem.n_components;
    std::vector<Real> values = problem.X.as<Real>(), means = problem.means.as<Real>(),
                      covariances = problem.covariances.as<Real>(), weights = problem.weights.as<Real>();
    // Columns are samples: a C-ordered (N, D) array is a D x N matrix as it lies.
    const arma::Mat<Real> X(values.data(), d, problem.n_samples, false, true);
    Model model;
    std::ostringstream log;
    arma::set_cout_stream(log);

    const auto run = [&](std::size_t n_iterations) {
        model.reset(d, k);
        model.set_means(arma::Mat<Real>(means.data(), d, k));
        if constexpr (requires { model.fcovs; })
            model.set_fcovs(arma::Cube<Real>(covariances.data(), d, d, k));
        else
            model.set_dcovs(arma::Mat<Real>(covariances.data(), d, k));
        model.set_hefts(arma::Row<Real>(weights.data(), k));
        log.str("");
        Outcome outcome;
        outcome.seconds = seconds_of([&] {
            model.learn(X, k, arma::eucl_dist, arma::keep_existing, 0, n_iterations, Real(1e-10), true);
        });
        // Armadillo prints a line per iteration, and stops when the likelihood no longer changes.
        const std::string text = log.str(), mark = "EM: iteration:";
        for (std::size_t at = text.find(mark); at != std::string::npos; at = text.find(mark, at + 1))
            ++outcome.iterations;
        return outcome;
    };
    answer_requests(problem, "armadillo", run, [&](const std::string& prefix) {
        write_npy(prefix + "weights.npy", {k}, model.hefts.memptr());
        write_npy(prefix + "means.npy", {k, d}, model.means.memptr());
        if constexpr (requires { model.fcovs; })
            write_npy(prefix + "covariances.npy", {k, d, d}, model.fcovs.memptr());
        else
            write_npy(prefix + "covariances.npy", {k, d}, model.dcovs.memptr());
    });
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 3) {
        std::cerr << "usage: armadillo FOLDER full|diag\n";
        return 2;
    }
    const Problem problem(argv[1], argv[2]);
    const bool full = problem.covariance_type == "full";
    if (!full && problem.covariance_type != "diag") {
        std::cerr << "Armadillo has full and diag only\n";
        return 2;
    }
    if (full && problem.X.single) serve<arma::fgmm_full, float>(problem);
    if (full && !problem.X.single) serve<arma::gmm_full, double>(problem);
    if (!full && problem.X.single) serve<arma::fgmm_diag, float>(problem);
    if (!full && !problem.X.single) serve<arma::gmm_diag, double>(problem);
}
