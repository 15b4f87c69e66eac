# TWMR's published estimator written again in R, as literally as the formulas allow: explicit Jacobian and
# covariance, with the published sign and the published order of the Kronecker factors.
#   Rscript published.R FOLDER N_GWAS N_EQTL OUT.tsv
given <- commandArgs(trailingOnly = TRUE)
folder <- given[1]; people_gwas <- as.numeric(given[2]); people_eqtl <- as.numeric(given[3])
shrink <- 1 / sqrt(3781)

one_gene <- function(path) {
  effects <- read.table(path, header = TRUE, check.names = FALSE)
  variants <- nrow(effects)
  last <- ncol(effects)
  E <- as.matrix(effects[, 2:(last - 1), drop = FALSE])
  E <- E[, colSums(abs(E)) != 0, drop = FALSE]
  g <- as.numeric(effects[, last])
  LD <- as.matrix(read.table(sub("matrix$", "ld", path), header = FALSE))[, seq_len(variants), drop = FALSE]
  genes <- ncol(E)
  inverse <- solve(LD)
  P <- solve((1 - shrink) * t(E) %*% inverse %*% E + shrink * diag(genes))
  alpha <- P %*% t(E) %*% inverse %*% g
  along <- P %*% t(E) %*% inverse
  by_effects <- P %x% (t(g) %*% inverse %*% (diag(variants) + E %*% along)) - t(alpha) %x% along
  J <- cbind(by_effects, along)
  errors <- c(rep(1 / sqrt(people_eqtl), variants * genes), rep(1 / sqrt(people_gwas), variants))
  Sigma <- (errors %*% t(errors)) * (LD %x% diag(genes + 1))
  se <- sqrt((J %*% Sigma %*% t(J))[1, 1])
  p <- 2 * pnorm(-abs(alpha[1] / se))
  c(alpha[1], se, p, variants, genes)
}

paths <- sort(list.files(folder, pattern = "\\.matrix$", full.names = TRUE))
rows <- vapply(paths, one_gene, numeric(5))
lines <- apply(rows, 2, function(row) paste(formatC(row, digits = 17, format = "g"), collapse = "\t"))
writeLines(c("gene\talpha\tse\tp\tn_snps\tn_genes", paste(sub("\\.matrix$", "", basename(paths)), lines, sep = "\t")), given[4])
