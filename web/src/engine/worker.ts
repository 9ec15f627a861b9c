// placeholder until llq/browser is there
export {};
