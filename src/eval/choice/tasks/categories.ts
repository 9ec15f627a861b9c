// What the subjects of MMLU, C-Eval and CMMLU belong to, as their authors have it, by the names of their files. A subject may
// belong to two: C-Eval's hard ones, and those of CMMLU that are about China, are in the others too.

type Categories = Readonly<Record<string, readonly string[]>>;

const words = ([text]: TemplateStringsArray) => text!.trim().split(/\s+/);

/** The harness counts anatomy as STEM. */
const MMLU: Categories = {
  STEM: words`
    abstract_algebra astronomy college_biology college_chemistry college_computer_science college_mathematics
    college_physics computer_security conceptual_physics electrical_engineering elementary_mathematics
    high_school_biology high_school_chemistry high_school_computer_science high_school_mathematics
    high_school_physics high_school_statistics machine_learning`,
  humanities: words`
    formal_logic high_school_european_history high_school_us_history high_school_world_history
    international_law jurisprudence logical_fallacies moral_disputes moral_scenarios philosophy prehistory
    professional_law world_religions`,
  "social sciences": words`
    econometrics high_school_geography high_school_government_and_politics high_school_macroeconomics
    high_school_microeconomics high_school_psychology human_sexuality professional_psychology
    public_relations security_studies sociology us_foreign_policy`,
  other: words`
    anatomy business_ethics clinical_knowledge college_medicine global_facts human_aging management marketing
    medical_genetics miscellaneous nutrition professional_accounting professional_medicine virology`,
};

/** C-Eval, with the eight subjects of C-Eval Hard. */
const CEVAL: Categories = {
  STEM: words`
    advanced_mathematics college_chemistry college_physics college_programming computer_architecture
    computer_network discrete_mathematics electrical_engineer high_school_biology high_school_chemistry
    high_school_mathematics high_school_physics metrology_engineer middle_school_biology
    middle_school_chemistry middle_school_mathematics middle_school_physics operating_system
    probability_and_statistics veterinary_medicine`,
  "social sciences": words`
    business_administration college_economics education_science high_school_geography high_school_politics
    mao_zedong_thought marxism middle_school_geography middle_school_politics teacher_qualification`,
  humanities: words`
    art_studies chinese_language_and_literature high_school_chinese high_school_history
    ideological_and_moral_cultivation law legal_professional logic middle_school_history
    modern_chinese_history professional_tour_guide`,
  other: words`
    accountant basic_medicine civil_servant clinical_medicine environmental_impact_assessment_engineer
    fire_engineer physician plant_protection sports_science tax_accountant urban_and_rural_planner`,
  hard: words`
    advanced_mathematics college_chemistry college_physics discrete_mathematics high_school_chemistry
    high_school_mathematics high_school_physics probability_and_statistics`,
};

/** CMMLU. */
const CMMLU: Categories = {
  STEM: words`
    anatomy astronomy college_actuarial_science college_engineering_hydrology college_mathematics
    college_medical_statistics computer_science conceptual_physics electrical_engineering
    elementary_mathematics genetics high_school_biology high_school_chemistry high_school_mathematics
    high_school_physics machine_learning virology`,
  humanities: words`
    arts chinese_history chinese_literature college_law global_facts international_law jurisprudence logical
    marxist_theory philosophy professional_law world_history world_religions`,
  "social sciences": words`
    ancient_chinese business_ethics chinese_civil_service_exam chinese_food_culture chinese_foreign_policy
    chinese_teacher_qualification college_education economics education elementary_chinese ethnology
    high_school_geography high_school_politics journalism management marketing modern_chinese
    professional_accounting professional_psychology public_relations security_study sociology`,
  other: words`
    agronomy chinese_driving_rule clinical_knowledge college_medicine computer_security
    construction_project_management elementary_commonsense elementary_information_and_technology food_science
    human_sexuality legal_and_moral_basis nutrition professional_medicine sports_science
    traditional_chinese_medicine`,
  "China specific": words`
    ancient_chinese chinese_civil_service_exam chinese_driving_rule chinese_food_culture
    chinese_foreign_policy chinese_history chinese_literature chinese_teacher_qualification
    construction_project_management elementary_chinese elementary_commonsense ethnology high_school_politics
    modern_chinese traditional_chinese_medicine`,
};

const OF_TASKS: Readonly<Record<string, Categories>> = { MMLU, "C-Eval": CEVAL, CMMLU };

/** Of a task, what its subjects belong to; nothing for one without subjects. */
export function categoriesOf(task: string, isHarness: boolean): Categories {
  const own = OF_TASKS[task] ?? {};
  if (task !== "MMLU" || !isHarness) return own;
  const others = own["other"]!.filter((subject) => subject !== ANATOMY);
  return { ...own, STEM: [...own["STEM"]!, ANATOMY], other: others };
}

const ANATOMY = "anatomy";
